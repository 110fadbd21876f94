"""One class a task: rows -> windows -> loss -> predictions -> scores."""
