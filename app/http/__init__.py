"""What all endpoints share: reading requests, output formats, responses, problems, OpenAPI."""
