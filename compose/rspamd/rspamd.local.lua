-- Rspamd reads this file after its own rules.

-- Which messages are not taken apart into words and URLs: those that are only signed, and large ones,
-- of which ten megabytes of text would take a second and 200 MiB. Signatures are made and checked over
-- the whole message all the same, and headers, addresses and the sender's server count as ever.
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

-- Likely spam goes to Junk. Who is elsewhere has none here, and what was forwarded there would count
-- against this machine. So it is refused while its sender is connected: nothing gets lost unnoticed,
-- and nobody gets a report about what he never sent. The directory knows who is where, by the
-- protocol of socketmap_table(5).
local tcp = require "rspamd_tcp"

rspamd_config:register_symbol({
  name = "SPAM_FOR_ELSEWHERE",
  type = "postfilter",
  callback = function(task)
    if task:get_metric_action() ~= "add header" then
      return
    end
    local recipients = task:get_recipients("smtp") or {}

    local function ask(index)
      if not recipients[index] then
        return
      end
      local question = "elsewhere " .. recipients[index].addr
      tcp.request({
        task = task,
        host = "directory",
        port = 4000,
        timeout = 5.0,
        data = string.format("%d:%s,", #question, question),
        stop_pattern = ",",
        callback = function(failure, answer)
          if failure then
            return -- Junk, then; what is to be forwarded ends in the MTA
          end
          if tostring(answer):find(":OK ", 1, true) then
            task:set_pre_result("reject", "5.7.1 This message looks like spam", "elsewhere")
          else
            ask(index + 1)
          end
        end,
      })
    end

    ask(1)
  end,
})

-- A message may be for several people, each of whom has taught something else: that is asked later, for
-- one after the other (docs/transport.md).
rspamd_config:register_symbol({
  name = "NOT_ANYBODY_S",
  type = "connfilter",
  callback = function(task)
    if task:has_flag("milter") then
      task:disable_symbol("BAYES_HAM")
      task:disable_symbol("BAYES_SPAM")
    end
  end,
})
