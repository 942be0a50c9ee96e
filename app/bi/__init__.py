"""The SQL views for BI tools: their catalogue, their role, and how they are brought up to date."""
