std = "lua54"
max_line_length = 120
max_string_line_length = false -- a message is found by its words
exclude_files = { "build*/" }
files["lua/library/"] = { ignore = { "111", "112", "113", "131", "211", "212", "241" } }
files["spec/"] = { std = "+busted", ignore = { "122" } } -- 122: specs replace os.exit and the like
files["examples/pool_spec.lua"] = { std = "+busted" }
