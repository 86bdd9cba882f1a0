import pytest
from stage import PROJECT, Wakes, claimed, learn, new_dataset, new_model, sha256, submit

from core.domain.errors import ConflictError, InvalidError, MissingError, NotReadyError, StrataError
from core.domain.records import BaseModelState, Model
from core.learning.catalogue.presets import DEFAULT_METHOD
from core.registry.work import Registry
from core.services import base_models, datasets, generation, jobs, models, tasks, versions

pytestmark = pytest.mark.usefixtures("desk")


def test_a_task_keeps_its_effective_spec_and_template(registry: Registry) -> None:
    spec = {"adapter": {"rank": 4}, "training": {"max_steps": 10}, "data": {"question": "Which stone?"}}
    task, job = submit(registry, "stones", spec=spec)
    assert task.spec["method"] == DEFAULT_METHOD
    assert task.spec["adapter"]["rank"] == 4
    assert task.spec["adapter"]["target_modules"] == ["q_proj", "v_proj"]
    assert task.spec["training"]["batch_size"] == 16
    assert task.template == {"format": "text_label", "question": "Which stone?", "options": ["basalt", "ember"]}
    assert job.params["recipe"]["adapter"]["settings"]["rank"] == 4
    with registry.read() as work:
        assert tasks.get(work, project_id=PROJECT, task_id=task.id) == task
        assert [each.id for each in tasks.page(work, project_id=PROJECT, model="desk").data] == [task.id]


def test_what_the_user_leaves_open_the_model_decides(registry: Registry) -> None:
    method = {"method": "inclora", "training": {"epochs": 2, "seed": 1}}
    new_model(registry, "dense", method=method)
    task, _ = submit(registry, "a", model="dense", spec={"training": {"seed": 9}})
    assert (task.spec["method"], task.spec["training"]["epochs"], task.spec["training"]["seed"]) == ("inclora", 2, 9)


def test_a_spec_that_cannot_be_is_refused_with_its_place(registry: Registry) -> None:
    refusals: tuple[tuple[dict[str, object], tuple[str | int, ...]], ...] = (
        ({"adapter": {"rank": 0}}, ("spec", "adapter", "rank")),
        ({"adapter": {"rank": 17}}, ("spec", "adapter", "rank")),
        ({"adapter": {"target_modules": ["nothing"]}}, ("spec", "adapter", "target_modules", 0)),
        ({"method": "magic"}, ("spec", "method")),
        ({"data": {"options": ["basalt", "quill"]}}, ("spec", "data", "options")),
    )
    for spec, loc in refusals:
        with pytest.raises(InvalidError) as refused:
            submit(registry, "a", spec=spec)
        assert loc in [place.loc for place in refused.value.places]
    with registry.read() as work:
        assert tasks.page(work, project_id=PROJECT).data == ()
        assert jobs.page(work, project_id=PROJECT, model="desk").data == ()


def test_a_bad_name_is_refused(registry: Registry) -> None:
    for name in ("", "Big", "a/b", "../x", "a b", "x" * 64, "task_1", "é"):
        with pytest.raises(InvalidError) as refused:
            submit(registry, name)
        assert refused.value.code == "invalid_name"


def test_what_a_task_refers_to_must_exist(registry: Registry) -> None:
    with pytest.raises(MissingError) as missing:
        submit(registry, "a", model="nobody")
    assert missing.value.code == "model_not_found"
    with pytest.raises(MissingError) as missing:
        submit(registry, "a", eval_dataset_id="data_0")
    assert missing.value.code == "dataset_not_found"


def test_a_name_is_taken_once_in_a_model(registry: Registry) -> None:
    submit(registry, "a")
    with pytest.raises(ConflictError) as taken:
        submit(registry, "a")
    assert taken.value.code == "name_taken"
    new_model(registry, "other")
    submit(registry, "a", model="other")


def test_a_task_on_a_head_that_has_moved_is_refused(registry: Registry) -> None:
    one = learn(registry, "a")
    assert one.parent_id is not None
    with pytest.raises(ConflictError) as moved:
        submit(registry, "b", expected_parent=one.parent_id)
    assert moved.value.code == "parent_conflict"
    submit(registry, "b", expected_parent=one.id)
    assert claimed(registry).parent_version_id == one.id


def test_both_files_of_a_task_are_of_one_format_and_give_the_options(registry: Registry) -> None:
    with registry.write() as work:
        plain = new_dataset(work, "plain", labels=None).id
        labelled = new_dataset(work, "labelled", labels=["ember", "quill"]).id
    with pytest.raises(InvalidError):
        submit(registry, "a", eval_dataset_id=plain)
    task, _ = submit(registry, "a", eval_dataset_id=labelled)
    assert task.template["options"] == ["basalt", "ember", "quill"]


def test_the_same_content_is_the_same_dataset_until_it_is_deleted(registry: Registry) -> None:
    with registry.write() as work:
        first = new_dataset(work, "x")
        assert new_dataset(work, "x") == first
        assert datasets.delete(work, project_id=PROJECT, dataset_id=first.id)
        assert new_dataset(work, "x").id != first.id
    with pytest.raises(MissingError), registry.read() as work:
        datasets.get(work, project_id=PROJECT, dataset_id=first.id)


def test_a_dataset_in_use_is_kept(registry: Registry) -> None:
    task, job = submit(registry, "a")
    with pytest.raises(ConflictError) as refused, registry.write() as work:
        datasets.delete(work, project_id=PROJECT, dataset_id=task.dataset_id)
    assert refused.value.code == "dataset_in_use"
    with registry.write() as work:
        jobs.cancel(work, project_id=PROJECT, job_id=job.id)
        models.delete(work, project_id=PROJECT, reference="desk")
        assert datasets.delete(work, project_id=PROJECT, dataset_id=task.dataset_id)


def test_datasets_are_listed(registry: Registry) -> None:
    with registry.write() as work:
        ids = [new_dataset(work, text).id for text in "abc"]
    with registry.read() as work:
        assert [each.id for each in datasets.page(work, project_id=PROJECT, order="asc").data] == ids
        assert datasets.page(work, project_id="prj_other").data == ()
        found = datasets.get(work, project_id=PROJECT, dataset_id=ids[0])
    assert (found.sha256, found.report) == (sha256("a"), {"labels": ["basalt", "ember"]})


def test_a_model_needs_a_ready_base_and_a_free_name(registry: Registry) -> None:
    with registry.write() as work:
        base_models.add(work, name="slow", source="hub:org/name@abc", dispatcher=Wakes())
    for arguments, error, code in (
        ({"name": "m", "base_model": "slow"}, NotReadyError, "base_model_not_ready"),
        ({"name": "m", "base_model": "none"}, InvalidError, "unknown_base_model"),
        ({"name": "desk", "base_model": "tiny"}, ConflictError, "name_taken"),
        ({"name": "mdl_x", "base_model": "tiny"}, InvalidError, "invalid_name"),
        ({"name": "m", "base_model": "tiny", "method": "magic"}, InvalidError, "invalid_method"),
        ({"name": "m", "base_model": "tiny", "method": {"rank": 1}}, InvalidError, "invalid_method"),
    ):
        expect_refusal(registry, {"method": None, **arguments}, error, code)


def expect_refusal(registry: Registry, arguments: dict[str, object], error: type[StrataError], code: str) -> None:
    with pytest.raises(error) as refused, registry.write() as work:
        models.create(work, project_id=PROJECT, **arguments)
    assert refused.value.code == code


def test_a_deleted_model_is_gone_and_its_name_is_free(registry: Registry, desk: Model) -> None:
    one = learn(registry, "a")
    _, job = submit(registry, "b")
    with pytest.raises(ConflictError) as busy, registry.write() as work:
        models.delete(work, project_id=PROJECT, reference="desk")
    assert busy.value.code == "model_busy"
    with registry.write() as work:
        jobs.cancel(work, project_id=PROJECT, job_id=job.id)
        models.delete(work, project_id=PROJECT, reference="desk")
    with registry.read() as work:
        assert versions.serving(work) == ()
        assert models.page(work, project_id=PROJECT).data == ()
    for reference in ("desk", desk.id, one.id):
        with pytest.raises(MissingError), registry.read() as work:
            versions.resolve(work, project_id=PROJECT, reference=reference)
    assert new_model(registry, "desk").id != desk.id


def test_a_source_outside_the_grammar_is_refused(registry: Registry) -> None:
    for source in (
        "/etc/passwd",
        "../x",
        "file:///x",
        "http://1.2.3.4/",
        "folder:x",
        "folder:/a/../b",
        "hub:org",
        "hub:a/b",
        "wheel:",
    ):
        with pytest.raises(InvalidError) as refused, registry.write() as work:
            base_models.add(work, name="x", source=source, dispatcher=Wakes())
        assert refused.value.code == "invalid_source"


def test_adding_a_base_model_again_changes_nothing(registry: Registry) -> None:
    wakes = Wakes()
    with registry.write() as work:
        again = base_models.add(work, name="tiny", source="folder:/models/tiny", dispatcher=wakes)
    assert again.state is BaseModelState.READY
    assert wakes.job_ids == []
    with pytest.raises(ConflictError) as taken, registry.write() as work:
        base_models.add(work, name="tiny", source="wheel:other", dispatcher=wakes)
    assert taken.value.code == "name_taken"
    with registry.read() as work:
        assert [base.name for base in base_models.page(work).data] == ["tiny"]


def test_generation_names_the_engines_model_and_renders_the_task(registry: Registry, desk: Model) -> None:
    submit(registry, "stones", spec={"data": {"question": "Which stone?"}})
    with registry.read() as work:
        request = {"model": "desk", "task": "stones", "input": {"text": "It is grey."}, "max_tokens": 5, "seed": None}
        planned = generation.plan(work, project_id=PROJECT, request=request)
        fixed = generation.plan(work, project_id=PROJECT, request={"model": "desk@0", "prompt": "Hi"})
        zero = versions.resolve(work, project_id=PROJECT, reference="desk@0")
    assert planned.request == {
        "model": f"{desk.id}:latest",
        "prompt": "Which stone?\nOptions: basalt, ember\nIt is grey.\nAnswer:",
        "max_tokens": 5,
    }
    assert fixed.request == {"model": zero.id, "prompt": "Hi"}
    assert planned.version == fixed.version == zero


def test_a_request_that_does_not_say_what_to_answer_is_refused(registry: Registry) -> None:
    submit(registry, "stones")
    requests: tuple[dict[str, object], ...] = (
        {},
        {"prompt": "a", "messages": []},
        {"prompt": "a", "input": {"text": "b"}},
        {"task": "stones"},
        {"task": "stones", "input": "text"},
        {"task": "stones", "input": {"label": "x"}},
    )
    for request in requests:
        with pytest.raises(InvalidError), registry.read() as work:
            generation.plan(work, project_id=PROJECT, request={"model": "desk", **request})


def test_a_task_that_the_model_has_not_cannot_be_asked(registry: Registry) -> None:
    request = {"model": "desk", "task": "none", "input": {"text": "x"}}
    with pytest.raises(MissingError), registry.read() as work:
        generation.plan(work, project_id=PROJECT, request=request)
