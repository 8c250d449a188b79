"""What every layer may use: errors, files, progress, records, parallel maps, seeds."""
