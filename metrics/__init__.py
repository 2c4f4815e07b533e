"""One file a metric, or a family of metrics; installs as fairbench.metrics."""
