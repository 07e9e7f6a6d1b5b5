"""The six experiments: tenant traffic over real tunnels, with every claim checked against what was observed."""
