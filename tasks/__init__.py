"""One file a task, or a family of tasks; installs as fairbench.tasks."""
