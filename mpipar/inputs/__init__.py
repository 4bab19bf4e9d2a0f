"""What users hand in: functions, expressions, tables, datasets."""
