-- inspect: whether the figures of SKUs agree with each other, and totals over SKUs. Writes nothing.
--
-- KEYS[1]  {s}:meta
-- ARGV[1]  [soon_ms, late_ms, sums_revision, fields, skus]
--            soon_ms  no claim lasts longer than to this time, late_ms what was due before is long overdue
--            fields   so many fields are read in all, and those of one SKU
-- ARGV[2]  places, as rebuild.lua takes them, each [location, class, floor, base]
-- Returns  msgpack of [done, known, oversold, negative, promised, paused, faults, unlisted]
--            done      SKUs looked at, the first of `skus`; known: those of them that are
--            oversold  SKUs; negative: positions
--            promised  in one list: sku, units promised to customers, where there are any
--            paused    in one list: sku, what was emitted last, where an ad is paused
--            faults    in one list: sku, invariant, what was expected, what was found
--            unlisted  in one list: sku, a location with stock that is not among the places: it was not looked at
--
-- Atomic because any figure may move between reading it and those that it is compared with.

local PAUSED = '["paused",' -- how the state of an ad begins; inside of a text the quotes would be escaped

local function report(seen, s, invariant, expected, found)
  local faults, n = seen.faults, #seen.faults
  faults[n + 1], faults[n + 2], faults[n + 3], faults[n + 4] = s[SKU], invariant, expected, found
end

-- The sums are what the positions give, under the policy that they were made under.
local function check_sums(seen, s, positions, by_location)
  local fresh = new_sku(s[SKU], s[KEY], s[REVISION])
  add_up(fresh, positions, by_location)
  if s[BASE] ~= fresh[BASE] then report(seen, s, 'class_sums', 'base ' .. int(fresh[BASE]), 'base ' .. int(s[BASE])) end
  for class = 1, max(s[CLASSES], fresh[CLASSES]) do
    local found = (class <= s[CLASSES]) and s[SUMS + class] or 0
    local expected = (class <= fresh[CLASSES]) and fresh[SUMS + class] or 0
    if found ~= expected then
      local name = 'class ' .. int(class - 1) .. ' '
      report(seen, s, 'class_sums', name .. int(expected), name .. int(found))
    end
  end
end

-- A claim ends, a change is published, and nothing stays due for ever.
local function check_queue(seen, s, at)
  local is_open = byte(s[CLAIM], 9) ~= 0
  if not at or at > seen.soon then
    if not at or is_open or s[CAUSE] > 0 then
      local found = at and 'due at ' .. int(at) or 'not queued'
      report(seen, s, is_open and 'out' or 'due', 'due by ' .. int(seen.soon), found)
    end
  elseif at < seen.late then
    report(seen, s, is_open and 'lease' or 'due', 'not due since ' .. int(seen.late), 'due at ' .. int(at))
  end
end

local function promised_of(s, positions)
  local units = s[UNROUTED] + s[HELD]
  for _, bound in ipairs(positions.reserved) do units = units + bound end
  return units
end

local function note_paused(seen, sku, emitted)
  if emitted and string.find(emitted, PAUSED, 1, true) then
    seen.paused[#seen.paused + 1] = sku
    seen.paused[#seen.paused + 1] = emitted
  end
end

-- Look at one SKU. Returns the number of fields read.
local function look_at(seen, prefix, sku, sums_revision, by_location)
  local key = prefix .. 'pos:' .. sku
  local flat = call('HGETALL', key)
  local head, emitted
  for i = 1, #flat, 2 do
    if flat[i] == '=' then head = flat[i + 1] elseif flat[i] == '>' then emitted = flat[i + 1] end
  end
  if not head then return 1 end
  local s, positions = sku_of(sku, key, head), positions_of(flat)
  local stranger = s[REVISION] == sums_revision and unlisted(positions, by_location)
  if stranger then
    seen.unlisted[#seen.unlisted + 1] = sku
    seen.unlisted[#seen.unlisted + 1] = stranger
    return #flat / 2
  end
  seen.known = seen.known + 1
  for _, units in ipairs(positions.on_hand) do
    if units < 0 then seen.negative = seen.negative + 1 end
  end
  if s[REVISION] == sums_revision then
    if s[BASE] - s[UNROUTED] - s[HELD] < 0 then seen.oversold = seen.oversold + 1 end
    check_sums(seen, s, positions, by_location)
  end
  check_queue(seen, s, tonumber(call('ZSCORE', prefix .. 'due', sku) or nil))
  local units = promised_of(s, positions)
  if units ~= 0 then
    seen.promised[#seen.promised + 1] = sku
    seen.promised[#seen.promised + 1] = units
  end
  note_paused(seen, sku, emitted)
  return #flat / 2
end

local function inspect(keys, args)
  local soon_ms, late_ms, sums_revision, fields, skus = unpack(cmsgpack.unpack(args[1]))
  local by_location = places_by_location(cmsgpack.unpack(args[2]))
  local seen = {
    soon = soon_ms, late = late_ms, known = 0, oversold = 0, negative = 0,
    promised = {}, paused = {}, faults = {}, unlisted = {},
  }
  local prefix, done = prefix_of(keys), 0
  while done < #skus and fields > 0 do
    done = done + 1
    fields = fields - look_at(seen, prefix, skus[done], sums_revision, by_location)
  end
  return cmsgpack.pack({
    done, seen.known, seen.oversold, seen.negative, seen.promised, seen.paused, seen.faults, seen.unlisted,
  })
end

register('penstock_inspect', inspect, { 'no-writes' })
