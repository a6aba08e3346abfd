-- Which messages are not taken apart into words and URLs: those that are only signed, and large ones,
-- of which ten megabytes of text would take a second and 200 MiB. Signatures are made and checked over
-- the whole message all the same, and headers, addresses and the sender's server count as ever.
-- Rspamd reads this file after its own rules.

local LARGE = 1024 * 1024

rspamd_config:register_symbol({
  name = "NOT_TAKEN_APART",
  type = "connfilter",
  callback = function(task)
    local ip = task:get_from_ip()
    if task:get_size() > LARGE or (ip and ip:is_local()) then
      task:set_flag("skip_process")
    end
  end,
})
