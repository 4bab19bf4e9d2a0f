"""Jobs: what a job file describes, submitted, looked after within, and asked about."""
