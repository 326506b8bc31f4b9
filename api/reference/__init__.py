"""docs/reference and the index of docs, written from the code: `python -m api.reference`."""
