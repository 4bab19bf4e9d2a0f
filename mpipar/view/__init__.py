"""What is shown of a run: text, tables, pages, pictures. All pictures have one style."""
