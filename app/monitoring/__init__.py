"""What those who run the service observe: whether it works, and its meters for Prometheus."""
