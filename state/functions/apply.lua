-- apply: the events of one shard, of one or more partitions, once each.
--
-- KEYS[1]  {s}:meta
-- ARGV[1]  [now_us, sums_revision, guard_ms, places, parts, slices, repeats, lines]
--            places  location field, class, floor and base of each, in one list; classes count from 0
--            part    [watermark, after, upto, [slice, events, slice, events, ...]]: the next events of `lines`, so many of
--                    a guard slice, then of another, are ALL events of this shard in (after, upto] of the partition
--            slices  [slice, hashes, slice, hashes, ...]: the hashes of the events of a guard
--                    slice, in the order of `lines`
--            repeats whether any hash is there more than once
--            lines   of each event: offset, time_ms, log_ms, home, order ("" for none), the number of values of its
--                    ops, and those: ops as in state/events/ops.py with the index of its place (from 0) for the location
-- Returns  msgpack of one of
--          ["OK", duplicates, absorbed, replayed, oldest_due_ms]
--            duplicates     [[part, event], ...] that are counted here
--            absorbed       movements that a count had seen; replayed: events that an earlier call delivered
--            oldest_due_ms  since when the SKU was due that had been due longest before the call, 0 for none
--          ["LOST", watermarks] [[watermark, where the shard stands], ...] of those that are behind; nothing was done
--
-- Atomic because the watermark, the duplicate guard, the figures and the due queue must move together.
-- An error half way through is not rolled back by Redis, so everything that could fail (another type of
-- value under a key, a malformed argument) happens in the reads; after the first write there are only
-- writes to keys that were read.

local EVENT_VALUES -- from state/protocol/apply.py
local MOVE, COUNT, INCOMING, ORDER, CANCEL, VOID, SHIP, CONSUME, RETURN, CLOSE, NETTED -- from state/events/ops.py
local OP_SIZES -- from state/events/ops.py
local OPS = {
  [MOVE] = move, [COUNT] = count, [INCOMING] = announce, [ORDER] = place_order, [CANCEL] = cancel, [SHIP] = ship,
  [RETURN] = take_back, [NETTED] = ship_netted,
}
-- Those that name no SKU.
local WHOLE = { [VOID] = void, [CLOSE] = close_reference, [CONSUME] = holds.consume }

local function run_ops(run, i, last)
  local lines, skus = run.lines, run.skus
  while i <= last do
    local code, sku = lines[i], lines[i + 1]
    if sku == '' then
      WHOLE[code](run, i)
    else
      local s = skus[sku]
      if not s then s = load_sku(run, sku, code <= INCOMING and run.places[4 * lines[i + 2] + 1]) end
      touch(s, run)
      if code == MOVE then move(run, s, i) else OPS[code](run, s, i) end
    end
    i = i + OP_SIZES[code]
  end
end

-- Run some events of one partition and guard slice. Returns where the next one begins.
local function run_events(run, i, events, slice, at, number, mark)
  local lines, group = run.lines, run.guard[slice]
  for j = number + 1, number + events do
    local offset, time, home = lines[i], lines[i + 1], lines[i + 3]
    local first, last = i + EVENT_VALUES, i + EVENT_VALUES - 1 + lines[i + 5]
    group.at = group.at + 1
    if offset <= mark then
      drop(group, group.at)
      run.replayed = run.replayed + 1
    elseif is_known(run, group, slice, lines[i + 4]) then
      if home == 1 then run.duplicates[#run.duplicates + 1] = { at - 1, j - 1 } end
    else
      run.offset, run.time, run.log, run.day = offset, time, lines[i + 2], floor(time / DAY_MS)
      run.applied = run.applied + home
      if time > run.newest then run.newest = time end
      run_ops(run, first, last)
    end
    i = last + 1
  end
  return i
end

-- Run the events of one partition. Returns where the next one begins.
local function run_part(run, i, part, at, mark)
  local slices, number = part[4], 0
  run.mark = part[1]
  for k = 1, #slices, 2 do
    i = run_events(run, i, slices[k + 1], slices[k], at, number, mark)
    number = number + slices[k + 1]
  end
  return i
end

local function write_meta(key, run, known_newest, applied, duplicates)
  local set = {}
  if run.newest > known_newest then
    set[1], set[2] = 't', run.newest
  end
  if run.applied > 0 then
    set[#set + 1] = 'applied'
    set[#set + 1] = applied + run.applied
  end
  if #run.duplicates > 0 then
    set[#set + 1] = 'duplicates'
    set[#set + 1] = duplicates + #run.duplicates
  end
  wide('HSET', key, set)
end

local function apply(keys, args)
  local now_us, sums_revision, guard_ms, places, parts, slices, repeats, lines = unpack(cmsgpack.unpack(args[1]))
  local prefix = prefix_of(keys)
  local marks, behind = marks_of(prefix .. 'mark', parts)
  if #behind > 0 then return cmsgpack.pack({ 'LOST', behind }) end

  local meta = call('HMGET', keys[1], 'floor', 't', 'applied', 'duplicates')
  local newest = tonumber(meta[2] or 0)
  local now_ms = floor(now_us / 1000)
  local oldest_due_ms = leased_queue.oldest(prefix .. 'due', now_ms)
  local run = {
    prefix = prefix, now_us = now_us, revision = sums_revision,
    floor = tonumber(meta[1] or 0),
    places = places, lines = lines, guard = guard_of(prefix, slices, repeats),
    skus = {}, touched = {}, orders = {}, references = {}, duplicates = {},
    newest = newest, applied = 0, replayed = 0, absorbed = 0,
    mark = '', offset = 0, time = 0, log = 0, day = 0, hash = '',
  }
  local i = 1
  for at, part in ipairs(parts) do i = run_part(run, i, part, at, marks[at]) end

  local changed = {}
  for _, s in ipairs(run.touched) do
    write_sku(run, s)
    if not s[QUEUED] then changed[#changed + 1] = s[SKU] end
  end
  write_orders(run.orders)
  if run.holds then holds.write(run) end
  write_references(run.references)
  write_guard(prefix, run.guard, guard_ms)
  leased_queue.make_due(prefix .. 'due', now_ms, changed)
  write_meta(keys[1], run, newest, tonumber(meta[3] or 0), tonumber(meta[4] or 0))
  raise_marks(prefix .. 'mark', parts, marks)
  return cmsgpack.pack({ 'OK', run.duplicates, run.absorbed, run.replayed, oldest_due_ms })
end

register('penstock_apply', apply)
