"""Raw data to checked rows: sources, row schemas, Parquet files and their manifest."""
