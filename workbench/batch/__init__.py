"""Notebooks run in batch: plan, execute, resume. Nothing else imports papermill."""
