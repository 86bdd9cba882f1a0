# The API, the schema's migrations, the periodic sweep: what needs no torch.
FROM python:3.11-slim AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY api api
COPY core core
COPY migrations migrations
COPY strata strata
COPY worker worker
RUN python -m venv /opt/strata \
    && /opt/strata/bin/pip install --no-cache-dir --constraint constraints.txt '.[s3]'

FROM python:3.11-slim
RUN useradd --uid 10001 --create-home strata && install -d -o strata /var/lib/strata
COPY --from=build /opt/strata /opt/strata
ENV PATH=/opt/strata/bin:$PATH PYTHONUNBUFFERED=1 STRATA_DATA_DIR=/var/lib/strata STRATA_API_HOST=0.0.0.0
USER strata
WORKDIR /var/lib/strata
EXPOSE 8321
CMD ["python", "-m", "api"]
