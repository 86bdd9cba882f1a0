"""What travels over the broker, and how: the one place that both of its ends read.

A message is a wake-up call. It holds a job's id for the log; what a worker takes is decided by the registry alone.
"""

from typing import Any, Final

WAKE_TASK: Final = "strata.wake"
SWEEP_TASK: Final = "strata.sweep"
QUEUE: Final = "strata"


def payload(job_id: str) -> dict[str, Any]:
    """Return the message that says that ``job_id`` is queued."""
    return {"v": 1, "job": job_id}


def celery_configuration(broker_url: str) -> dict[str, Any]:
    """Return Celery's settings, each explicit where a default could lose, repeat or delay work."""
    return {
        "broker_url": broker_url,
        # Hints need no redelivery: the sweep finds what a lost one would have said, and late acks make kill loops.
        "task_acks_late": False,
        "task_reject_on_worker_lost": False,
        # The registry keeps results; nothing is ever unpickled.
        "task_ignore_result": True,
        "task_serializer": "json",
        "result_serializer": "json",
        "accept_content": ["json"],
        "task_default_queue": QUEUE,
        # One supervised trainer at a time, no hints hoarded behind it. What must be fresh for the next job is its
        # trainer, a process of its own; until a new process of the pool is given work, seconds pass.
        "worker_pool": "prefork",
        "worker_concurrency": 1,
        "worker_prefetch_multiplier": 1,
        "worker_disable_prefetch": True,
        "worker_max_tasks_per_child": None,
        # A broker that is away must not slow a publisher, and must not be given up on by a consumer.
        "task_publish_retry": False,
        "broker_connection_timeout": 2,
        "broker_connection_max_retries": None,
        "broker_connection_retry_on_startup": True,
        "broker_transport_options": {
            "visibility_timeout": 3600,
            "socket_keepalive": True,
            "socket_timeout": 30,
            "socket_connect_timeout": 2,
            "health_check_interval": 25,
        },
        # Jobs last for hours; their limit is the registry's deadline, kept by the supervisor.
        "task_time_limit": None,
        "task_soft_time_limit": None,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_soft_shutdown_timeout": 60.0,
        # Cancelling goes through the registry; this surface is not needed.
        "worker_enable_remote_control": False,
        "worker_send_task_events": False,
        "worker_hijack_root_logger": False,
        "timezone": "UTC",
    }
