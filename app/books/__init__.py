"""The books: what is fixed at the first start of a deployment, and how a process opens it."""
