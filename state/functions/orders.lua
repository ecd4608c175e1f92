-- The record of an order number: facts that only grow, and what is open by them.
--
-- `order:<order>` is a hash: `e:<hash>` an event met, `p:<channel>` the event that placed it first and its time (ms),
-- `a:<channel>US<sku>` asked, `c:<channel>US<sku>` cancelled, `s:<channel>US<sku>US<location>` shipped,
-- `v:<channel>` void, `u:<sku>` what is open and was added to the unrouted units of the SKU. For answers.lua:
-- `r:<sku>US<time>US<location>US<s or d>` came back, sellable or damaged; `n:<channel>US<sku>US<location>US<time>`
-- shipped by a supplier whose figures are net of orders.
--
--     open = max(0, asked - cancelled - shipped) by channel, 0 when void or not placed;
--     facts that name no channel count once against the total
--
-- A record with nothing open lives 60 days from its last change, any other until it has nothing open.

local function give(record, item, quantity)
  record.given[item] = (record.given[item] or 0) + quantity
end

-- Take in a fact as it was stored.
local function learn(record, field, value)
  local kind, rest = sub(field, 1, 2), sub(field, 3)
  if kind == 'p:' then
    record.channels[#record.channels + 1] = rest
  elseif kind == 'a:' then
    value = tonumber(value)
  elseif kind == 'c:' then
    value = tonumber(value)
    give(record, rest, value)
  elseif kind == 's:' then
    value = tonumber(value)
    give(record, string.match(rest, '^[^\31]*\31[^\31]*'), value)
  elseif kind == 'u:' then
    value = tonumber(value)
    if value ~= 0 then record.open = record.open + 1 end
  elseif kind == 'r:' or kind == 'n:' then
    value = tonumber(value)
    record.answers = true
  end
  record.facts[field] = value
end

local function order_of(run, order)
  local record = run.orders[order]
  if record then return record end
  record = {
    key = run.prefix .. 'order:' .. order, facts = {}, changed = {}, channels = {}, given = {},
    open = 0, expires = false, answers = false, by_sku = false,
  }
  local flat = call('HGETALL', record.key)
  for i = 1, #flat, 2 do learn(record, flat[i], flat[i + 1]) end
  record.expires = #flat > 0 and record.open == 0
  if record.answers then index(record) end
  run.orders[order] = record
  return record
end

local function note(record, field, value)
  record.facts[field] = value
  record.changed[field] = true
end

local function add(record, field, quantity)
  note(record, field, (record.facts[field] or 0) + quantity)
  if record.by_sku then learn_answer(record, field, quantity) end
end

local function known_to_order(record, hash)
  local field = 'e:' .. hash
  if record.facts[field] then return true end
  note(record, field, '1')
  return false
end

local function open_of(record, sku)
  local facts, given = record.facts, record.given
  if facts['v:'] then return 0 end
  local total = 0
  for _, channel in ipairs(record.channels) do
    if not facts['v:' .. channel] then
      local item = channel .. US .. sku
      total = total + max(0, (facts['a:' .. item] or 0) - (given[item] or 0))
    end
  end
  return max(0, total - (given[US .. sku] or 0))
end

-- Bring the unrouted units of the SKU to what is open now.
local function rebalance(s, record)
  local field, open = 'u:' .. s[SKU], open_of(record, s[SKU])
  local before = record.facts[field] or 0
  if open ~= before then
    s[UNROUTED] = s[UNROUTED] + open - before
    record.open = record.open + ((open > 0) and 1 or 0) - ((before > 0) and 1 or 0)
    note(record, field, open)
  end
end

local function place_order(run, s, i)
  local record, channel, quantity = order_of(run, run.lines[i + 2]), run.lines[i + 3], run.lines[i + 4]
  local first = record.facts['p:' .. channel]
  local before = record.by_sku and standing(record, s[SKU])
  if not first then
    record.channels[#record.channels + 1] = channel
    note(record, 'p:' .. channel, run.hash .. US .. int(run.time))
  elseif string.match(first, '^[^\31]*') ~= run.hash then
    return
  end
  add(record, 'a:' .. channel .. US .. s[SKU], quantity)
  add_demand(run, s, quantity)
  rebalance(s, record)
  if before then move_answers(run, s, record, run.lines[i + 2], before) end
end

local function cancel(run, s, i)
  local record, quantity = order_of(run, run.lines[i + 2]), run.lines[i + 4]
  local item = run.lines[i + 3] .. US .. s[SKU]
  add(record, 'c:' .. item, quantity)
  give(record, item, quantity)
  rebalance(s, record)
end

local function ship(run, s, i)
  local lines = run.lines
  local record, quantity = order_of(run, lines[i + 2]), lines[i + 4]
  local item = lines[i + 3] .. US .. s[SKU]
  local before = record.by_sku and standing(record, s[SKU])
  add(record, 's:' .. item .. US .. lines[i + 5], quantity)
  give(record, item, quantity)
  rebalance(s, record)
  if before then move_answers(run, s, record, lines[i + 2], before) end
end

-- A shipment by a supplier whose figures are net of orders: moves its stock, too.
local function ship_netted(run, s, i)
  local lines, at = run.lines, 4 * run.lines[i + 5]
  local record, quantity = order_of(run, lines[i + 2]), lines[i + 4]
  local item, location = lines[i + 3] .. US .. s[SKU], sub(run.places[at + 1], 3)
  index(record)
  local before = standing(record, s[SKU])
  add(record, 's:' .. item .. US .. location, quantity)
  add(record, 'n:' .. item .. US .. location .. US .. int(run.time), quantity)
  give(record, item, quantity)
  rebalance(s, record)
  move_answers(run, s, record, lines[i + 2], before, at)
end

-- Goods of an order came back.
local function take_back(run, s, i)
  local lines, at = run.lines, 4 * run.lines[i + 5]
  local record = order_of(run, lines[i + 2])
  index(record)
  local before = standing(record, s[SKU])
  local field = 'r:' .. s[SKU] .. US .. int(run.time) .. US .. sub(run.places[at + 1], 3) .. US
  if lines[i + 3] > 0 then add(record, field .. 's', lines[i + 3]) end
  if lines[i + 4] > 0 then add(record, field .. 'd', lines[i + 4]) end
  move_answers(run, s, record, lines[i + 2], before, at)
end

-- Give up the order, or a channel's part of it: of all SKUs of this shard that were ever open in it.
local function void(run, i)
  local record = order_of(run, run.lines[i + 2])
  note(record, 'v:' .. run.lines[i + 3], '1')
  for field in pairs(record.facts) do
    if sub(field, 1, 2) == 'u:' then
      local sku = sub(field, 3)
      local s = run.skus[sku] or load_sku(run, sku)
      touch(s, run)
      rebalance(s, record)
    end
  end
end

local function write_orders(orders)
  for _, record in pairs(orders) do
    local set = {}
    for field in pairs(record.changed) do
      set[#set + 1] = field
      set[#set + 1] = record.facts[field]
    end
    wide('HSET', record.key, set)
    if record.open == 0 then
      call('PEXPIRE', record.key, RECORD_TTL_MS)
    elseif record.expires then
      call('PERSIST', record.key)
    end
  end
end
