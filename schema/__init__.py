"""What things are: documents, jobs, events, settings. No I/O, no framework but marshmallow."""
