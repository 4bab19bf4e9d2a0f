"""What users hand in: functions, expressions, tables, datasets. Imports mpipar.core alone."""
