-- What an installation of revision 0001 may hold, in statements that SQLite and PostgreSQL both read. Never changed:
-- the tests upgrade it to the newest revision. One statement a paragraph.

INSERT INTO project (id, name, created_ms) VALUES
  ('prj_default', 'default', 1700000000000),
  ('prj_acme', 'acme', 1700000000500);

INSERT INTO base_model (id, name, source, state, digest, facts, path, error, created_ms) VALUES
  ('base_a', 'tiny', 'folder:/models/tiny', 'ready', 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', '{"family": "causal", "architecture": "TinyForCausalLM", "modules": {"layers.0.q_proj": [16, 16], "layers.0.v_proj": [16, 16]}, "blocks": {"layers.0.q_proj": "layers.0", "layers.0.v_proj": "layers.0"}, "default_targets": ["q_proj", "v_proj"], "context_tokens": 1024, "vocabulary": 128, "parameters": 1000, "size_bytes": 4000, "digest": "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", "tokenizer_sha256": "1111111111111111111111111111111111111111111111111111111111111111", "end_token": "<end>", "end_token_id": 1, "chat_template": null}', '/base/tiny', NULL, 1700000001000),
  ('base_b', 'other', 'hub:org/other@main', 'pending', NULL, NULL, NULL, NULL, 1700000002000),
  ('base_c', 'broken', 'folder:/models/broken', 'failed', NULL, NULL, NULL, 'it has no tokenizer', 1700000003000);

INSERT INTO dataset (id, project_id, sha256, size_bytes, format, n_rows, report, created_ms, deleted_ms) VALUES
  ('data_1', 'prj_default', 'a100000000000000000000000000000000000000000000000000000000000000', 1000, 'prompt_completion', 40, '{"format": "prompt_completion", "n_rows": 40, "labels": null, "warnings": []}', 1700000010000, NULL),
  ('data_2', 'prj_default', 'a200000000000000000000000000000000000000000000000000000000000000', 2000, 'text_label', 60, '{"format": "text_label", "n_rows": 60, "labels": ["basalt", "ember: \"quoted\""], "warnings": ["1 blank lines were skipped"]}', 1700000011000, NULL),
  ('data_3', 'prj_default', 'a300000000000000000000000000000000000000000000000000000000000000', 3000, 'text', 7, '{"format": "text", "n_rows": 7, "labels": null, "warnings": []}', 1700000012000, 1700000013000),
  ('data_4', 'prj_acme', 'a100000000000000000000000000000000000000000000000000000000000000', 1000, 'prompt_completion', 40, '{"format": "prompt_completion", "n_rows": 40, "labels": null, "warnings": []}', 1700000014000, NULL);

INSERT INTO model (id, project_id, name, base_model_id, method, policy, fence, next_seq, next_number, created_ms, deleted_ms) VALUES
  ('mdl_desk', 'prj_default', 'desk', 'base_a', '{}', '{"store_rows": false}', 7, 9, 4, 1700000020000, NULL),
  ('mdl_slow', 'prj_default', 'slow', 'base_a', '{"method": "ella"}', '{"store_rows": true}', 1, 3, 1, 1700000021000, NULL),
  ('mdl_old', 'prj_default', 'old', 'base_a', '{}', '{"store_rows": false}', 0, 1, 1, 1700000022000, 1700000023000),
  ('mdl_app', 'prj_acme', 'desk', 'base_a', '{}', '{"store_rows": false}', 1, 2, 1, 1700000024000, NULL);

INSERT INTO task (id, project_id, model_id, name, dataset_id, eval_dataset_id, spec, template, created_ms) VALUES
  ('task_1', 'prj_default', 'mdl_desk', 'codes', 'data_1', NULL, '{"method": "jumplora+ella"}', '{"format": "prompt_completion", "question": null, "options": null}', 1700000030000),
  ('task_2', 'prj_default', 'mdl_desk', 'notes', 'data_2', NULL, '{"method": "ella"}', '{"format": "text_label", "question": "Which?", "options": ["basalt", "ember: \"quoted\""]}', 1700000031000),
  ('task_3', 'prj_default', 'mdl_desk', 'harm', 'data_1', 'data_3', '{}', '{"format": "prompt_completion", "question": null, "options": null}', 1700000032000),
  ('task_4', 'prj_default', 'mdl_desk', 'next', 'data_1', NULL, '{}', '{"format": "prompt_completion", "question": null, "options": null}', 1700000033000),
  ('task_5', 'prj_default', 'mdl_slow', 'long', 'data_2', NULL, '{}', '{"format": "text_label", "question": null, "options": ["basalt", "ember: \"quoted\""]}', 1700000034000),
  ('task_6', 'prj_acme', 'mdl_app', 'codes', 'data_4', NULL, '{}', '{"format": "prompt_completion", "question": null, "options": null}', 1700000035000),
  ('task_7', 'prj_default', 'mdl_slow', 'later', 'data_1', NULL, '{}', '{"format": "prompt_completion", "question": null, "options": null}', 1700000036000);

INSERT INTO job (id, project_id, kind, model_id, task_id, base_model_id, seq, state, phase, params, expected_parent, parent_version_id, result_version_id, retry_of, cancel_requested, owner, fence, lease_ms, claims, barren, step, total_steps, eta_seconds, deadline_ms, error_code, error_detail, created_ms, started_ms, finished_ms) VALUES
  ('job_0', 'prj_default', 'inspect', NULL, NULL, 'base_a', 1, 'succeeded', NULL, '{}', NULL, NULL, NULL, NULL, FALSE, NULL, 1, NULL, 1, 0, 0, NULL, NULL, NULL, NULL, NULL, 1700000001000, 1700000001100, 1700000001200),
  ('job_1', 'prj_default', 'train', 'mdl_desk', 'task_1', NULL, 1, 'succeeded', 'publishing', '{"recipe": {"name": "jumplora+ella", "adapter": {"name": "jumplora", "settings": {"rank": 8, "alpha": 16.0, "target_modules": ["q_proj", "v_proj"], "threshold": {"start": 0.0001}}}, "objectives": [{"name": "ella", "settings": {"strength": 1000.0}}], "memories": [{"name": "w_past", "settings": {}}], "composition": {"name": "merge_sequential", "settings": {}}, "training": {"epochs": 6.0, "max_steps": null, "batch_size": 16, "gradient_accumulation": 1, "learning_rate": 0.001, "max_grad_norm": 1.0, "precision": "fp32", "max_source_tokens": 512, "max_target_tokens": 64, "seed": 42}, "evaluation": {"max_rows": 200, "batch_size": 32}, "timeout_seconds": null}}', NULL, 'ver_0', 'ver_1', NULL, FALSE, NULL, 1, NULL, 1, 0, 12, 12, NULL, NULL, NULL, NULL, 1700000030000, 1700000030100, 1700000030200),
  ('job_2', 'prj_default', 'train', 'mdl_desk', 'task_2', NULL, 2, 'succeeded', 'publishing', '{"recipe": {"name": "ella", "adapter": {"name": "jumplora", "settings": {"rank": 8, "alpha": 16.0, "target_modules": ["q_proj", "v_proj"], "threshold": {"start": 0.0001}}}, "objectives": [{"name": "ella", "settings": {"strength": 1000.0}}], "memories": [{"name": "w_past", "settings": {}}], "composition": {"name": "merge_sequential", "settings": {}}, "training": {"epochs": 6.0, "max_steps": null, "batch_size": 16, "gradient_accumulation": 1, "learning_rate": 0.001, "max_grad_norm": 1.0, "precision": "fp32", "max_source_tokens": 512, "max_target_tokens": 64, "seed": 42}, "evaluation": {"max_rows": 200, "batch_size": 32}, "timeout_seconds": null}}', 'ver_1', 'ver_1', 'ver_2', NULL, FALSE, NULL, 2, NULL, 1, 0, 12, 12, NULL, NULL, NULL, NULL, 1700000031000, 1700000031100, 1700000031200),
  ('job_3', 'prj_default', 'train', 'mdl_desk', 'task_3', NULL, 3, 'failed', 'training', '{"recipe": {"name": "jumplora+ella", "adapter": {"name": "jumplora", "settings": {"rank": 8, "alpha": 16.0, "target_modules": ["q_proj", "v_proj"], "threshold": {"start": 0.0001}}}, "objectives": [{"name": "ella", "settings": {"strength": 1000.0}}], "memories": [{"name": "w_past", "settings": {}}], "composition": {"name": "merge_sequential", "settings": {}}, "training": {"epochs": 6.0, "max_steps": null, "batch_size": 16, "gradient_accumulation": 1, "learning_rate": 0.001, "max_grad_norm": 1.0, "precision": "fp32", "max_source_tokens": 512, "max_target_tokens": 64, "seed": 42}, "evaluation": {"max_rows": 200, "batch_size": 32}, "timeout_seconds": null}}', NULL, 'ver_2', NULL, NULL, FALSE, NULL, 3, NULL, 1, 0, 2, 12, NULL, NULL, 'loss_diverged', 'the loss is NaN at step 2', 1700000032000, 1700000032100, 1700000032200),
  ('job_4', 'prj_default', 'train', 'mdl_desk', 'task_3', NULL, 4, 'rejected', 'evaluating', '{"recipe": {"name": "jumplora+ella", "adapter": {"name": "jumplora", "settings": {"rank": 8, "alpha": 16.0, "target_modules": ["q_proj", "v_proj"], "threshold": {"start": 0.0001}}}, "objectives": [{"name": "ella", "settings": {"strength": 1000.0}}], "memories": [{"name": "w_past", "settings": {}}], "composition": {"name": "merge_sequential", "settings": {}}, "training": {"epochs": 6.0, "max_steps": null, "batch_size": 16, "gradient_accumulation": 1, "learning_rate": 0.001, "max_grad_norm": 1.0, "precision": "fp32", "max_source_tokens": 512, "max_target_tokens": 64, "seed": 42}, "evaluation": {"max_rows": 200, "batch_size": 32}, "timeout_seconds": null}}', NULL, 'ver_2', NULL, 'job_3', FALSE, NULL, 4, NULL, 1, 0, 12, 12, NULL, NULL, 'gate_rejected', 'it forgot', 1700000032300, 1700000032400, 1700000032500),
  ('job_5', 'prj_default', 'train', 'mdl_desk', 'task_3', NULL, 5, 'succeeded', 'publishing', '{"recipe": {"name": "jumplora+ella", "adapter": {"name": "jumplora", "settings": {"rank": 8, "alpha": 16.0, "target_modules": ["q_proj", "v_proj"], "threshold": {"start": 0.0001}}}, "objectives": [{"name": "ella", "settings": {"strength": 1000.0}}], "memories": [{"name": "w_past", "settings": {}}], "composition": {"name": "merge_sequential", "settings": {}}, "training": {"epochs": 6.0, "max_steps": null, "batch_size": 16, "gradient_accumulation": 1, "learning_rate": 0.001, "max_grad_norm": 1.0, "precision": "fp32", "max_source_tokens": 512, "max_target_tokens": 64, "seed": 42}, "evaluation": {"max_rows": 200, "batch_size": 32}, "timeout_seconds": null}}', NULL, 'ver_2', 'ver_3', 'job_4', FALSE, NULL, 6, NULL, 2, 0, 12, 12, NULL, 1800000000000, NULL, NULL, 1700000032600, 1700000032700, 1700000032800),
  ('job_6', 'prj_default', 'train', 'mdl_desk', 'task_4', NULL, 6, 'cancelled', NULL, '{"recipe": {"name": "jumplora+ella", "adapter": {"name": "jumplora", "settings": {"rank": 8, "alpha": 16.0, "target_modules": ["q_proj", "v_proj"], "threshold": {"start": 0.0001}}}, "objectives": [{"name": "ella", "settings": {"strength": 1000.0}}], "memories": [{"name": "w_past", "settings": {}}], "composition": {"name": "merge_sequential", "settings": {}}, "training": {"epochs": 6.0, "max_steps": null, "batch_size": 16, "gradient_accumulation": 1, "learning_rate": 0.001, "max_grad_norm": 1.0, "precision": "fp32", "max_source_tokens": 512, "max_target_tokens": 64, "seed": 42}, "evaluation": {"max_rows": 200, "batch_size": 32}, "timeout_seconds": null}}', NULL, NULL, NULL, NULL, FALSE, NULL, NULL, NULL, 0, 0, 0, NULL, NULL, NULL, NULL, NULL, 1700000033000, NULL, 1700000033100),
  ('job_7', 'prj_default', 'train', 'mdl_desk', 'task_4', NULL, 8, 'queued', NULL, '{"recipe": {"name": "jumplora", "adapter": {"name": "jumplora", "settings": {"rank": 8, "alpha": 16.0, "target_modules": ["q_proj", "v_proj"], "threshold": {"start": 0.0001}}}, "objectives": [{"name": "ella", "settings": {"strength": 1000.0}}], "memories": [{"name": "w_past", "settings": {}}], "composition": {"name": "merge_sequential", "settings": {}}, "training": {"epochs": 6.0, "max_steps": null, "batch_size": 16, "gradient_accumulation": 1, "learning_rate": 0.001, "max_grad_norm": 1.0, "precision": "fp32", "max_source_tokens": 512, "max_target_tokens": 64, "seed": 42}, "evaluation": {"max_rows": 200, "batch_size": 32}, "timeout_seconds": null}}', NULL, NULL, NULL, 'job_6', FALSE, NULL, NULL, NULL, 0, 0, 0, NULL, NULL, NULL, NULL, NULL, 1700000033200, NULL, NULL),
  ('job_8', 'prj_default', 'train', 'mdl_slow', 'task_5', NULL, 1, 'paused', 'training', '{"recipe": {"name": "jumplora+ella", "adapter": {"name": "jumplora", "settings": {"rank": 8, "alpha": 16.0, "target_modules": ["q_proj", "v_proj"], "threshold": {"start": 0.0001}}}, "objectives": [{"name": "ella", "settings": {"strength": 1000.0}}], "memories": [{"name": "w_past", "settings": {}}], "composition": {"name": "merge_sequential", "settings": {}}, "training": {"epochs": 6.0, "max_steps": null, "batch_size": 16, "gradient_accumulation": 1, "learning_rate": 0.001, "max_grad_norm": 1.0, "precision": "fp32", "max_source_tokens": 512, "max_target_tokens": 64, "seed": 42}, "evaluation": {"max_rows": 200, "batch_size": 32}, "timeout_seconds": null}}', NULL, 'ver_s0', NULL, NULL, FALSE, NULL, 1, NULL, 1, 0, 5, 12, NULL, NULL, NULL, NULL, 1700000034000, 1700000034100, NULL),
  ('job_9', 'prj_default', 'train', 'mdl_slow', 'task_7', NULL, 2, 'queued', NULL, '{"recipe": {"name": "jumplora+ella", "adapter": {"name": "jumplora", "settings": {"rank": 8, "alpha": 16.0, "target_modules": ["q_proj", "v_proj"], "threshold": {"start": 0.0001}}}, "objectives": [{"name": "ella", "settings": {"strength": 1000.0}}], "memories": [{"name": "w_past", "settings": {}}], "composition": {"name": "merge_sequential", "settings": {}}, "training": {"epochs": 6.0, "max_steps": null, "batch_size": 16, "gradient_accumulation": 1, "learning_rate": 0.001, "max_grad_norm": 1.0, "precision": "fp32", "max_source_tokens": 512, "max_target_tokens": 64, "seed": 42}, "evaluation": {"max_rows": 200, "batch_size": 32}, "timeout_seconds": null}}', NULL, NULL, NULL, NULL, FALSE, NULL, NULL, NULL, 0, 0, 0, NULL, NULL, NULL, NULL, NULL, 1700000036000, NULL, NULL),
  ('job_a', 'prj_acme', 'train', 'mdl_app', 'task_6', NULL, 1, 'running', 'training', '{"recipe": {"name": "jumplora+ella", "adapter": {"name": "jumplora", "settings": {"rank": 8, "alpha": 16.0, "target_modules": ["q_proj", "v_proj"], "threshold": {"start": 0.0001}}}, "objectives": [{"name": "ella", "settings": {"strength": 1000.0}}], "memories": [{"name": "w_past", "settings": {}}], "composition": {"name": "merge_sequential", "settings": {}}, "training": {"epochs": 6.0, "max_steps": null, "batch_size": 16, "gradient_accumulation": 1, "learning_rate": 0.001, "max_grad_norm": 1.0, "precision": "fp32", "max_source_tokens": 512, "max_target_tokens": 64, "seed": 42}, "evaluation": {"max_rows": 200, "batch_size": 32}, "timeout_seconds": null}}', NULL, 'ver_a0', NULL, NULL, FALSE, 'worker-1', 1, 1700000036000, 1, 1, 3, 12, 4.5, NULL, NULL, NULL, 1700000035000, 1700000035100, NULL),
  ('job_b', 'prj_default', 'inspect', NULL, NULL, 'base_b', 1, 'queued', NULL, '{}', NULL, NULL, NULL, NULL, FALSE, NULL, NULL, NULL, 0, 0, 0, NULL, NULL, NULL, NULL, NULL, 1700000099000, NULL, NULL);

INSERT INTO version (id, project_id, model_id, number, parent_id, task_id, job_id, fence, state, manifest_sha256, artefact, digest, delta, created_ms) VALUES
  ('ver_0', 'prj_default', 'mdl_desk', 0, NULL, NULL, NULL, NULL, 'ready', NULL, NULL, 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', NULL, 1700000020000),
  ('ver_1', 'prj_default', 'mdl_desk', 1, 'ver_0', 'task_1', 'job_1', 1, 'ready', 'd100000000000000000000000000000000000000000000000000000000000000', 'versions/prj_default/mdl_desk/d100000000000000000000000000000000000000000000000000000000000000', 'e100', '{"format": "sparse", "nnz": 25, "density": 0.25, "size_bytes": 100}', 1700000030200),
  ('ver_2', 'prj_default', 'mdl_desk', 2, 'ver_1', 'task_2', 'job_2', 2, 'ready', 'd200000000000000000000000000000000000000000000000000000000000000', 'versions/prj_default/mdl_desk/d200000000000000000000000000000000000000000000000000000000000000', 'e200', '{"format": "sparse", "nnz": 30, "density": 0.3, "size_bytes": 120}', 1700000031200),
  ('ver_3', 'prj_default', 'mdl_desk', 3, 'ver_2', 'task_3', 'job_5', 6, 'corrupt', 'd300000000000000000000000000000000000000000000000000000000000000', 'versions/prj_default/mdl_desk/d300000000000000000000000000000000000000000000000000000000000000', 'e300', '{"format": "dense", "nnz": 256, "density": 1.0, "size_bytes": 1024}', 1700000032800),
  ('ver_s0', 'prj_default', 'mdl_slow', 0, NULL, NULL, NULL, NULL, 'ready', NULL, NULL, 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', NULL, 1700000021000),
  ('ver_o0', 'prj_default', 'mdl_old', 0, NULL, NULL, NULL, NULL, 'ready', NULL, NULL, 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', NULL, 1700000022000),
  ('ver_a0', 'prj_acme', 'mdl_app', 0, NULL, NULL, NULL, NULL, 'ready', NULL, NULL, 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', NULL, 1700000024000);

INSERT INTO version_chain (project_id, version_id, position, delta_version_id) VALUES
  ('prj_default', 'ver_1', 0, 'ver_1'),
  ('prj_default', 'ver_2', 0, 'ver_1'),
  ('prj_default', 'ver_2', 1, 'ver_2'),
  ('prj_default', 'ver_3', 0, 'ver_1'),
  ('prj_default', 'ver_3', 1, 'ver_2'),
  ('prj_default', 'ver_3', 2, 'ver_3');

INSERT INTO alias (project_id, model_id, name, version_id, moves, moved_ms) VALUES
  ('prj_default', 'mdl_desk', 'latest', 'ver_2', 5, 1700000040000),
  ('prj_default', 'mdl_desk', 'stable', 'ver_1', 2, 1700000030900),
  ('prj_default', 'mdl_slow', 'latest', 'ver_s0', 1, 1700000021000),
  ('prj_default', 'mdl_old', 'latest', 'ver_o0', 1, 1700000022000),
  ('prj_acme', 'mdl_app', 'latest', 'ver_a0', 1, 1700000024000);

INSERT INTO alias_move (project_id, model_id, name, n, from_version_id, to_version_id, actor, reason, at_ms) VALUES
  ('prj_default', 'mdl_desk', 'latest', 1, NULL, 'ver_0', 'anonymous', 'created', 1700000020000),
  ('prj_default', 'mdl_desk', 'latest', 2, 'ver_0', 'ver_1', 'worker-1', 'published', 1700000030200),
  ('prj_default', 'mdl_desk', 'latest', 3, 'ver_1', 'ver_2', 'worker-1', 'published', 1700000031200),
  ('prj_default', 'mdl_desk', 'latest', 4, 'ver_2', 'ver_3', 'worker-2', 'published', 1700000032800),
  ('prj_default', 'mdl_desk', 'latest', 5, 'ver_3', 'ver_2', 'engine', 'corrupt: a file is not what was published', 1700000040000),
  ('prj_default', 'mdl_desk', 'stable', 1, NULL, 'ver_0', 'anonymous', 'created', 1700000020000),
  ('prj_default', 'mdl_desk', 'stable', 2, 'ver_0', 'ver_1', 'anonymous', 'shown to the team', 1700000030900),
  ('prj_default', 'mdl_slow', 'latest', 1, NULL, 'ver_s0', 'anonymous', 'created', 1700000021000),
  ('prj_default', 'mdl_old', 'latest', 1, NULL, 'ver_o0', 'anonymous', 'created', 1700000022000),
  ('prj_acme', 'mdl_app', 'latest', 1, NULL, 'ver_a0', 'anonymous', 'created', 1700000024000);

INSERT INTO event (subject_id, n, project_id, at_ms, kind, from_state, to_state, fence, actor, data) VALUES
  ('mdl_desk', 1, 'prj_default', 1700000020000, 'created', NULL, NULL, NULL, 'anonymous', '{}'),
  ('mdl_desk', 2, 'prj_default', 1700000040000, 'alias_moved', NULL, NULL, NULL, 'engine', '{"alias": "latest", "from": "ver_3", "to": "ver_2", "reason": "corrupt: a file is not what was published"}'),
  ('job_0', 1, 'prj_default', 1700000001000, 'state', NULL, 'queued', NULL, 'anonymous', '{}'),
  ('job_0', 2, 'prj_default', 1700000001100, 'state', 'queued', 'running', 1, 'worker-1', '{}'),
  ('job_0', 3, 'prj_default', 1700000001200, 'state', 'running', 'succeeded', 1, 'worker-1', '{}'),
  ('job_1', 1, 'prj_default', 1700000030000, 'state', NULL, 'queued', NULL, 'anonymous', '{}'),
  ('job_1', 2, 'prj_default', 1700000030100, 'state', 'queued', 'running', 1, 'worker-1', '{}'),
  ('job_1', 3, 'prj_default', 1700000030110, 'phase', NULL, NULL, 1, 'worker-1', '{"phase": "training"}'),
  ('job_1', 4, 'prj_default', 1700000030120, 'progress', NULL, NULL, 1, 'worker-1', '{"step": 6, "total_steps": 12}'),
  ('job_1', 5, 'prj_default', 1700000030200, 'state', 'running', 'succeeded', 1, 'worker-1', '{"version_id": "ver_1", "number": 1}'),
  ('job_2', 1, 'prj_default', 1700000031000, 'state', NULL, 'queued', NULL, 'anonymous', '{}'),
  ('job_2', 2, 'prj_default', 1700000031100, 'state', 'queued', 'running', 2, 'worker-1', '{}'),
  ('job_2', 3, 'prj_default', 1700000031200, 'state', 'running', 'succeeded', 2, 'worker-1', '{"version_id": "ver_2", "number": 2}'),
  ('job_3', 1, 'prj_default', 1700000032000, 'state', NULL, 'queued', NULL, 'anonymous', '{}'),
  ('job_3', 2, 'prj_default', 1700000032100, 'state', 'queued', 'running', 3, 'worker-1', '{}'),
  ('job_3', 3, 'prj_default', 1700000032200, 'state', 'running', 'failed', 3, 'worker-1', '{"code": "loss_diverged"}'),
  ('job_4', 1, 'prj_default', 1700000032300, 'state', NULL, 'queued', NULL, 'anonymous', '{"retry_of": "job_3"}'),
  ('job_4', 2, 'prj_default', 1700000032400, 'state', 'queued', 'running', 4, 'worker-1', '{}'),
  ('job_4', 3, 'prj_default', 1700000032500, 'state', 'running', 'rejected', 4, 'worker-1', '{}'),
  ('job_5', 1, 'prj_default', 1700000032600, 'state', NULL, 'queued', NULL, 'anonymous', '{"retry_of": "job_4"}'),
  ('job_5', 2, 'prj_default', 1700000032650, 'state', 'queued', 'running', 5, 'worker-1', '{}'),
  ('job_5', 3, 'prj_default', 1700000032660, 'checkpoint', NULL, NULL, 5, 'worker-1', '{"step": 6}'),
  ('job_5', 4, 'prj_default', 1700000032670, 'state', 'running', 'queued', NULL, 'sweep', '{"reason": "lease_expired"}'),
  ('job_5', 5, 'prj_default', 1700000032700, 'state', 'queued', 'running', 6, 'worker-2', '{}'),
  ('job_5', 6, 'prj_default', 1700000032800, 'state', 'running', 'succeeded', 6, 'worker-2', '{"version_id": "ver_3", "number": 3}'),
  ('job_6', 1, 'prj_default', 1700000033000, 'state', NULL, 'queued', NULL, 'anonymous', '{}'),
  ('job_6', 2, 'prj_default', 1700000033100, 'state', 'queued', 'cancelled', NULL, 'anonymous', '{}'),
  ('job_7', 1, 'prj_default', 1700000033200, 'state', NULL, 'queued', NULL, 'anonymous', '{"retry_of": "job_6"}'),
  ('job_8', 1, 'prj_default', 1700000034000, 'state', NULL, 'queued', NULL, 'anonymous', '{}'),
  ('job_8', 2, 'prj_default', 1700000034100, 'state', 'queued', 'running', 1, 'worker-1', '{}'),
  ('job_8', 3, 'prj_default', 1700000034200, 'state', 'running', 'paused', 1, 'worker-1', '{}'),
  ('job_9', 1, 'prj_default', 1700000036000, 'state', NULL, 'queued', NULL, 'anonymous', '{}'),
  ('job_a', 1, 'prj_acme', 1700000035000, 'state', NULL, 'queued', NULL, 'anonymous', '{}'),
  ('job_a', 2, 'prj_acme', 1700000035100, 'state', 'queued', 'running', 1, 'worker-1', '{}'),
  ('job_b', 1, 'prj_default', 1700000099000, 'state', NULL, 'queued', NULL, 'anonymous', '{}'),
  ('ver_0', 1, 'prj_default', 1700000020000, 'state', NULL, 'ready', NULL, 'anonymous', '{"number": 0}'),
  ('ver_1', 1, 'prj_default', 1700000030200, 'state', NULL, 'ready', 1, 'worker-1', '{"number": 1}'),
  ('ver_2', 1, 'prj_default', 1700000031200, 'state', NULL, 'ready', 2, 'worker-1', '{"number": 2}'),
  ('ver_3', 1, 'prj_default', 1700000032800, 'state', NULL, 'ready', 6, 'worker-2', '{"number": 3}'),
  ('ver_3', 2, 'prj_default', 1700000040000, 'state', 'ready', 'corrupt', 6, 'engine', '{"reason": "a file is not what was published"}'),
  ('ver_s0', 1, 'prj_default', 1700000021000, 'state', NULL, 'ready', NULL, 'anonymous', '{"number": 0}'),
  ('ver_o0', 1, 'prj_default', 1700000022000, 'state', NULL, 'ready', NULL, 'anonymous', '{"number": 0}'),
  ('ver_a0', 1, 'prj_acme', 1700000024000, 'state', NULL, 'ready', NULL, 'anonymous', '{"number": 0}');

INSERT INTO metric (project_id, job_id, series, step, value) VALUES
  ('prj_default', 'job_1', 'loss', 1, 2.5),
  ('prj_default', 'job_1', 'loss', 2, 1.25),
  ('prj_default', 'job_1', 'sparsity', 2, 0.75),
  ('prj_acme', 'job_a', 'loss', 3, 0.1);

INSERT INTO score (project_id, version_id, task_id, metric, value, n_rows) VALUES
  ('prj_default', 'ver_0', 'task_1', 'exact_match', 0.25, 4),
  ('prj_default', 'ver_1', 'task_1', 'exact_match', 0.75, 4),
  ('prj_default', 'ver_2', 'task_1', 'exact_match', 0.5, 4),
  ('prj_default', 'ver_2', 'task_2', 'exact_match', 0.8125, 6);
