# Worker, trainer and engine: what computes. The CUDA libraries come with torch; the image brings the driver's hooks.
ARG CUDA_IMAGE=nvidia/cuda:13.0.2-base-ubuntu24.04
FROM ${CUDA_IMAGE} AS build
RUN apt-get update && apt-get install --yes --no-install-recommends python3 python3-venv gcc python3-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
# torch first and pinned: a layer of its own, which changes of the code do not build anew.
ARG TORCH_INDEX=
RUN python3 -m venv /opt/strata \
    && /opt/strata/bin/pip install --no-cache-dir --constraint constraints.txt ${TORCH_INDEX:+--index-url ${TORCH_INDEX}} torch==2.13.0
COPY api api
COPY core core
COPY migrations migrations
COPY strata strata
COPY worker worker
RUN /opt/strata/bin/pip install --no-cache-dir --constraint constraints.txt '.[train,serve,s3]'

FROM ${CUDA_IMAGE}
RUN apt-get update && apt-get install --yes --no-install-recommends python3 && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home strata && install -d -o strata /var/lib/strata
COPY --from=build /opt/strata /opt/strata
ENV PATH=/opt/strata/bin:$PATH PYTHONUNBUFFERED=1 STRATA_DATA_DIR=/var/lib/strata
USER strata
WORKDIR /var/lib/strata
EXPOSE 8322
CMD ["celery", "-A", "worker.control.celery_app", "worker", "--loglevel=INFO"]
