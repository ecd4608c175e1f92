-- apply: the events of one shard, of one or more partitions, once each.
--
-- KEYS[1]  {s}:meta
-- ARGV[1]  [now_us, revision, guard_ms, places, parts]
--            place [location, class, floor, base]: class counts the policy's classes from 0
--            part  [mark, after, upto, events]: ALL events of this shard in (after, upto] of the partition
--            event [offset, hash, slice, time_ms, log_ms, home, order, ops], op as in state/ops.py with the
--                  index of its place (from 0) in place of the location
-- Returns  ["OK", [[part, event], ...] duplicates counted here, absorbed movements, events replayed]
--          ["LOST", [[mark, where the shard stands], ...]] and nothing was done
--
-- Atomic because the watermark, the duplicate guard, the figures and the due queue must move together.
-- An error half way through is not rolled back by Redis, so everything that could fail (another type of
-- value under a key, a malformed argument) happens in the reads; after the first write there are only
-- writes to keys that were read.

local KEEP = 256 -- movements of a SKU kept for late counts; looked at when twice as many are there
local DEMAND_DAYS = 14
local HOUR_US = 3600000000
local MOVEMENTS_TTL_MS = 73 * 3600 * 1000 -- 72 h, renewed at most once an hour
local RECORD_TTL_MS = 60 * 24 * 3600 * 1000

local MOVE, COUNT, INCOMING, PLACE, CANCEL, VOID, SHIP = 0, 1, 2, 3, 4, 5, 6

-- A position: an array [on_hand, reserved, unavailable, incoming, counted_at, counted] without its trailing zeros.
local function load_sku(prefix, sku, indexes, places)
  local key = prefix .. 'pos:' .. sku
  local fields, n = { '=' }, 1
  for index in pairs(indexes) do
    n = n + 1
    fields[n] = 'l:' .. places[index + 1][1]
  end
  local values = call('HMGET', key, unpack(fields))
  local head = values[1] and cmsgpack.unpack(values[1])
  local locations = {}
  local s = { sku = sku, key = key, new = not head, head = head, locations = locations }
  local i = 1
  for index in pairs(indexes) do
    i = i + 1
    local p = values[i] and cmsgpack.unpack(values[i]) or { 0 }
    p.was = p[1]
    locations[places[index + 1][1]] = p
  end
  return s
end

local function record_add(record, field, quantity)
  record.f[field] = int(tonumber(record.f[field] or 0) + quantity)
  record.changed[field] = true
end

-- Open total of a SKU over the channels that placed this order number; facts that name no channel count once.
local function open_of(record, sku)
  local f = record.f
  if f['v:'] then return 0 end
  local shipped, channels = {}, {}
  for field, value in pairs(f) do
    local kind = string.sub(field, 1, 2)
    if kind == 's:' then
      local channel, item = string.match(field, '^s:([^\31]*)\31([^\31]*)\31')
      if item == sku then shipped[channel] = (shipped[channel] or 0) + tonumber(value) end
    elseif kind == 'p:' then
      channels[#channels + 1] = string.sub(field, 3)
    end
  end
  local total = 0
  for _, channel in ipairs(channels) do
    if not f['v:' .. channel] then
      local asked = tonumber(f['a:' .. channel .. US .. sku] or 0)
      local cancelled = tonumber(f['c:' .. channel .. US .. sku] or 0)
      total = total + max(0, asked - cancelled - (shipped[channel] or 0))
    end
  end
  return max(0, total - tonumber(f['c:' .. US .. sku] or 0) - (shipped[''] or 0))
end

local function rebalance(s, record)
  local open = open_of(record, s.sku)
  local field = 'u:' .. s.sku
  local before = tonumber(record.f[field] or 0)
  if open ~= before then
    s.head[U] = s.head[U] + open - before
    record.f[field] = int(open)
    record.changed[field] = true
  end
end

local function contribution(p, place_floor)
  return max(0, p[1] - (p[2] or 0) - (p[3] or 0) - place_floor)
end

-- Move the sums of a SKU by what became of one position since `before` and `base_before`.
local function move_sums(s, place, p, before, base_before)
  local head, at = s.head, SUMS + place[2] + 1
  for i = #head + 1, at do head[i] = 0 end
  head[at] = head[at] + contribution(p, place[3]) - before
  if place[4] == 1 then head[A] = head[A] + contribution(p, 0) - base_before end
end

-- Days 14 or more before the newest weigh nothing and go.
local function add_demand(s, time_ms, units)
  local list, day = s.head[D], floor(time_ms / 86400000)
  if list[1] == day then
    list[2] = list[2] + units
    return
  end
  local oldest = max(list[1] or day, day) - DEMAND_DAYS
  local kept, placed = {}, day <= oldest
  for i = 1, #list, 2 do
    if not placed and list[i] <= day then
      kept[#kept + 1] = day
      kept[#kept + 1] = units + ((list[i] == day) and list[i + 1] or 0)
      placed = true
    end
    if list[i] > oldest and list[i] ~= day then
      kept[#kept + 1] = list[i]
      kept[#kept + 1] = list[i + 1]
    end
  end
  if not placed then
    kept[#kept + 1] = day
    kept[#kept + 1] = units
  end
  s.head[D] = kept
end

local function parse_movement(text)
  local time, delta, location = string.match(text, '^(-?%d+) (-?%d+) (.*)$')
  return tonumber(time), tonumber(delta), location
end

local function alert(s, name, figure)
  s.alerts = s.alerts or {}
  s.alerts[name] = int(figure) .. ' ' .. s.mark .. '/' .. int(s.offset)
end

local OPS = {}

OPS[MOVE] = function(context, s, event, op)
  local place = context.places[op[3] + 1]
  local p, delta, time = s.locations[place[1]], op[4], event[4]
  if delta ~= 0 and p[5] and time <= p[5] then
    context.absorbed = context.absorbed + 1
    delta = 0
  end
  local before, base_before = contribution(p, place[3]), contribution(p, 0)
  p[1] = p[1] + delta
  if op[5] ~= 0 then
    p[2], p[3] = p[2] or 0, (p[3] or 0) + op[5]
  end
  move_sums(s, place, p, before, base_before)
  if delta ~= 0 then
    s.moved = s.moved or {}
    s.moved[#s.moved + 1] = string.format('%d %d %s', time, delta, place[1])
    s.head[M] = max(s.head[M], time)
  end
  if op[6] > 0 then add_demand(s, time, op[6]) end
end

OPS[COUNT] = function(context, s, _, op)
  local place = context.places[op[3] + 1]
  local location, time, quantity = place[1], op[4], op[5]
  local p = s.locations[location]
  if p[5] and (time < p[5] or (time == p[5] and quantity >= p[6])) then return end
  local later = 0
  local function lay(list)
    for _, text in ipairs(list) do
      local moved_at, delta, where = parse_movement(text)
      if where == location and moved_at > time then later = later + delta end
    end
  end
  if s.head[M] > time then
    lay(context.history[s.sku] or {})
    lay(s.moved or {})
    if s.head[E] > time then alert(s, 'drift:' .. location, time) end
  end
  local before, base_before = contribution(p, place[3]), contribution(p, 0)
  p[1], p[2], p[3], p[4], p[5], p[6] = quantity + later, p[2] or 0, p[3] or 0, p[4] or 0, time, quantity
  move_sums(s, place, p, before, base_before)
end

OPS[INCOMING] = function(context, s, _, op)
  local location = context.places[op[3] + 1][1]
  local p, reference, field = s.locations[location], context.references[op[4]], s.sku .. US .. location
  local before = reference[field]
  reference[field] = before + op[5]
  p[2], p[3], p[4] = p[2] or 0, p[3] or 0, (p[4] or 0) + max(0, before + op[5]) - max(0, before)
end

OPS[PLACE] = function(context, s, event, op)
  local record, channel = context.orders[op[3]], op[4]
  local first = record.f['p:' .. channel]
  if first and first ~= event[2] then return end
  record.f['p:' .. channel] = event[2]
  record.changed['p:' .. channel] = true
  record_add(record, 'a:' .. channel .. US .. s.sku, op[5])
  add_demand(s, event[4], op[5])
  rebalance(s, record)
end

OPS[CANCEL] = function(context, s, _, op)
  local record = context.orders[op[3]]
  record_add(record, 'c:' .. op[4] .. US .. s.sku, op[5])
  rebalance(s, record)
end

OPS[SHIP] = function(context, s, _, op)
  local record = context.orders[op[3]]
  record_add(record, 's:' .. op[4] .. US .. s.sku .. US .. op[6], op[5])
  rebalance(s, record)
end

local function touch(s, event, mark)
  local head = s.head
  s.mark, s.offset = mark, event[1]
  head[T] = max(head[T], event[4])
  head[Q] = (head[Q] == 0) and event[5] or min(head[Q], event[5])
end

OPS[VOID] = function(context, _, event, op, mark)
  local record = context.orders[op[3]]
  record.f['v:' .. op[4]] = '1'
  record.changed['v:' .. op[4]] = true
  for field in pairs(record.f) do
    if string.sub(field, 1, 2) == 'u:' then
      local s = context.skus[string.sub(field, 3)]
      touch(s, event, mark)
      rebalance(s, record)
    end
  end
end

-- Hashes known to the guard, by slice of the log timestamp: a resend may carry another `time`, never another log time.
local function known_hashes(prefix, parts, marks)
  local groups = {}
  for i, part in ipairs(parts) do
    for _, event in ipairs(part[4]) do
      if event[1] > marks[i] then
        local group = groups[event[3]]
        if not group then
          group = { list = {}, known = {}, added = {} }
          groups[event[3]] = group
        end
        group.list[#group.list + 1] = event[2]
      end
    end
  end
  for slice, group in pairs(groups) do
    for near = slice - 1, slice + 1 do
      local key = prefix .. 'seen:' .. int(near)
      for i = 1, #group.list, WIDE do
        local upto = min(i + WIDE - 1, #group.list)
        for k, known in ipairs(call('SMISMEMBER', key, unpack(group.list, i, upto))) do
          if known == 1 then group.known[group.list[i + k - 1]] = true end
        end
      end
    end
  end
  return groups
end

local function is_known(groups, event)
  local hash, slice = event[2], event[3]
  local group = groups[slice]
  local before, after = groups[slice - 1], groups[slice + 1]
  if group.known[hash] or group.added[hash] or (before and before.added[hash]) or (after and after.added[hash]) then
    return true
  end
  group.added[hash] = true
  return false
end

-- An order remembers its events for as long as it lives, longer than the guard.
local function known_to_order(prefix, orders, event)
  local order = event[7]
  local record = orders[order]
  if not record then
    record = { key = prefix .. 'order:' .. order, f = {}, changed = {} }
    local flat = call('HGETALL', record.key)
    for i = 1, #flat, 2 do record.f[flat[i]] = flat[i + 1] end
    orders[order] = record
  end
  local field = 'e:' .. event[2]
  if record.f[field] then return true end
  record.f[field] = '1'
  record.changed[field] = true
  return false
end

-- The events to run, in order, and the mark of the partition of each.
local function fresh_events(prefix, parts, marks)
  local groups = known_hashes(prefix, parts, marks)
  local fresh, mark_of, duplicates, orders = {}, {}, {}, {}
  local replayed, applied = 0, 0
  for i, part in ipairs(parts) do
    for j, event in ipairs(part[4]) do
      if event[1] <= marks[i] then
        replayed = replayed + 1
      elseif is_known(groups, event) or (event[7] ~= '' and known_to_order(prefix, orders, event)) then
        if event[6] == 1 then duplicates[#duplicates + 1] = { i - 1, j - 1 } end
      else
        applied = applied + event[6]
        fresh[#fresh + 1] = event
        mark_of[#fresh] = part[1]
      end
    end
  end
  return fresh, mark_of, { groups = groups, duplicates = duplicates, orders = orders, replayed = replayed, applied = applied }
end

local function load_references(prefix, references)
  for reference, wanted in pairs(references) do
    local names = {}
    for name in pairs(wanted) do names[#names + 1] = name end
    for i = 1, #names, WIDE do
      local values = call('HMGET', prefix .. 'ref:' .. reference, unpack(names, i, min(i + WIDE - 1, #names)))
      for k, value in ipairs(values) do wanted[names[i + k - 1]] = tonumber(value or 0) end
    end
  end
end

-- What the events need: SKUs with the positions they touch, announcements by reference, movements under counts.
local function load_all(prefix, events, orders, places, revision)
  local used, references, late = {}, {}, {}
  for _, event in ipairs(events) do
    for _, op in ipairs(event[8]) do
      local code, sku = op[1], op[2]
      if code == VOID then
        for field in pairs(orders[op[3]].f) do
          if string.sub(field, 1, 2) == 'u:' then
            sku = string.sub(field, 3)
            used[sku] = used[sku] or {}
          end
        end
      else
        local indexes = used[sku]
        if not indexes then
          indexes = {}
          used[sku] = indexes
        end
        if code <= INCOMING then indexes[op[3]] = true end
        if code == COUNT then late[sku] = true end
        if code == INCOMING then
          references[op[4]] = references[op[4]] or {}
          references[op[4]][sku .. US .. places[op[3] + 1][1]] = 0
        end
      end
    end
  end
  load_references(prefix, references)
  local skus, history = {}, {}
  for sku, indexes in pairs(used) do
    local s = load_sku(prefix, sku, indexes, places)
    if s.new then s.head = new_head(revision) end
    s.newest = s.head[M]
    s.queued = s.head[Q] > 0 -- changed and not claimed since: it is due already
    if late[sku] then
      local list = call('LRANGE', prefix .. 'mov:' .. sku, 0, -1)
      if #list > 0 then history[sku] = list else s.head[E] = max(s.head[E], s.newest) end -- expired is evicted
    end
    s.was = s.head[A] - s.head[U] - s.head[H]
    skus[sku] = s
  end
  return skus, references, history
end

-- The newest movements stay; of the others only the time of the newest is remembered.
local function trim_movements(key, length, s)
  local list = {}
  for i, text in ipairs(call('LRANGE', key, 0, -1)) do
    list[i] = { parse_movement(text), i, text }
  end
  table.sort(list, function(x, y)
    if x[1] ~= y[1] then return x[1] < y[1] end
    return x[2] < y[2]
  end)
  local kept = {}
  for i = 1, length - KEEP do s.head[E] = max(s.head[E], list[i][1]) end
  for i = length - KEEP + 1, length do kept[#kept + 1] = list[i][3] end
  call('DEL', key)
  wide('RPUSH', key, kept)
  s.head[K] = 0
end

-- The history may fail to be written (another type of value under its key) without harm to the figures:
-- then it counts as evicted, and a late count is flagged.
local function write_movements(prefix, s, now_us)
  local key, head = prefix .. 'mov:' .. s.sku, s.head
  local length
  for i = 1, #s.moved, WIDE do
    length = redis.pcall('RPUSH', key, unpack(s.moved, i, min(i + WIDE - 1, #s.moved)))
  end
  if type(length) ~= 'number' then
    head[E] = head[M]
    return
  end
  if length == #s.moved then head[E] = max(head[E], s.newest) end -- what was kept before has expired
  if length > 2 * KEEP then trim_movements(key, length, s) end
  local hour = floor(now_us / HOUR_US)
  if head[K] ~= hour or length == #s.moved then
    head[K] = hour
    call('PEXPIRE', key, MOVEMENTS_TTL_MS)
  end
end

local function pack_position(p)
  local n = 6
  while n > 0 and (p[n] or 0) == 0 and not (n >= 5 and p[5]) do n = n - 1 end
  if n == 0 then return nil end
  return cmsgpack.pack({ unpack(p, 1, n) })
end

local function write_sku(prefix, s, revision, now_us, version_floor)
  local head, set, n, gone = s.head, {}, 0, nil
  if s.moved then write_movements(prefix, s, now_us) end
  for location, p in pairs(s.locations) do
    local packed = pack_position(p)
    if packed then
      set[n + 1], set[n + 2] = 'l:' .. location, packed
      n = n + 2
    else
      gone = gone or {}
      gone[#gone + 1] = 'l:' .. location
    end
    if p[1] < 0 and p.was >= 0 then alert(s, 'negative:' .. location, p[1]) end
  end
  if head[P] == revision then
    local available = head[A] - head[U] - head[H]
    if available < 0 and s.was >= 0 then alert(s, 'oversold:', available) end
  else
    head[P] = 0 -- other floors made these sums: they are made anew before the next claim
  end
  head[V] = next_version(head[V], now_us, version_floor)
  set[n + 1], set[n + 2] = '=', cmsgpack.pack(head)
  n = n + 2
  if s.alerts then
    for name, text in pairs(s.alerts) do
      set[n + 1], set[n + 2] = '!' .. name, text
      n = n + 2
    end
    set[n + 1], set[n + 2] = '!', '1'
  end
  wide('HSET', s.key, set)
  if gone and not s.new then wide('HDEL', s.key, gone) end
end

local function write_orders(orders)
  for _, record in pairs(orders) do
    local set, open = {}, false
    for field in pairs(record.changed) do
      set[#set + 1] = field
      set[#set + 1] = record.f[field]
    end
    wide('HSET', record.key, set)
    for field, value in pairs(record.f) do
      if string.sub(field, 1, 2) == 'u:' and value ~= '0' then open = true end
    end
    if open then call('PERSIST', record.key) else call('PEXPIRE', record.key, RECORD_TTL_MS) end
  end
end

local function write_references(prefix, references)
  for reference, wanted in pairs(references) do
    local key = prefix .. 'ref:' .. reference
    local set, gone = {}, {}
    for field, net in pairs(wanted) do
      if net == 0 then
        gone[#gone + 1] = field
      else
        set[#set + 1] = field
        set[#set + 1] = int(net)
      end
    end
    wide('HSET', key, set)
    wide('HDEL', key, gone)
    call('PEXPIRE', key, RECORD_TTL_MS)
  end
end

local function write_guard(prefix, groups, guard_ms)
  for slice, group in pairs(groups) do
    local list = {}
    for hash in pairs(group.added) do list[#list + 1] = hash end
    if #list > 0 then
      local key = prefix .. 'seen:' .. int(slice)
      wide('SADD', key, list)
      call('PEXPIRE', key, guard_ms)
    end
  end
end

local function apply(keys, args)
  local now_us, revision, guard_ms, places, parts = unpack(cmsgpack.unpack(args[1]))
  local prefix = prefix_of(keys)
  local marks, lost = marks_of(prefix .. 'mark', parts)
  if #lost > 0 then return cmsgpack.pack({ 'LOST', lost }) end

  local meta = meta_of(keys[1])
  local events, mark_of, found = fresh_events(prefix, parts, marks)
  local skus, references, history = load_all(prefix, events, found.orders, places, revision)
  call('ZCARD', prefix .. 'due')
  local context = {
    places = places, skus = skus, orders = found.orders, references = references, history = history, absorbed = 0,
  }
  local newest = meta.t
  for i, event in ipairs(events) do
    local mark = mark_of[i]
    newest = max(newest, event[4])
    for _, op in ipairs(event[8]) do
      local s = skus[op[2]]
      if s then touch(s, event, mark) end
      OPS[op[1]](context, s, event, op, mark)
    end
  end

  local touched = {}
  for sku, s in pairs(skus) do
    write_sku(prefix, s, revision, now_us, meta.floor)
    if not s.queued then touched[#touched + 1] = sku end
  end
  write_orders(found.orders)
  write_references(prefix, references)
  write_guard(prefix, found.groups, guard_ms)
  make_due(prefix .. 'due', floor(now_us / 1000), touched)
  if newest > meta.t then call('HSET', keys[1], 't', int(newest)) end
  if found.applied > 0 then call('HINCRBY', keys[1], 'applied', found.applied) end
  if #found.duplicates > 0 then call('HINCRBY', keys[1], 'duplicates', #found.duplicates) end
  raise_marks(prefix .. 'mark', parts, marks)
  return cmsgpack.pack({ 'OK', found.duplicates, context.absorbed, found.replayed })
end

register('penstock_apply', apply)
