"""Self-contained HTML pages: drawings, tables and figures in one file that opens offline."""
