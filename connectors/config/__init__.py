"""Settings and files.

`settings`            the environment
`policy_file`         `penstock.yaml`: `schema` declares it, `yaml_reader` reads it, `values` and `checks` judge it
`category_file`, `codes_file`, `positions_file`    the CSV files beside it
"""
