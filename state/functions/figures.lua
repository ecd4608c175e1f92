-- The figures of a SKU: as Redis keeps them, and as arrays while a function runs.
--
-- `pos:<sku>` is a hash. Field `=`, the head, is packed little-endian integers of 8 bytes, but for `open` and `alerts`
-- (1), the number of classes (2) and the day (4); it ends in the sum of each class and then in the older days with
-- demand, newest first (4 bytes day, 8 units). Field `>` is what was emitted last, as the publisher wrote it. Field
-- `l:<location>`, a position, is a byte, how many of its seven figures follow (zeros at the end are left
-- out), these, and its recent movements, newest first: event time (ms) and change of on_hand, 6 bytes each.
-- `!<kind>:<location>` is an alert not yet reported.
-- Packed text costs a third of msgpack here; version, cause and claim lead the head, to be exchanged with the rest unread.

-- A position at hand is an array: its field, on_hand as it was, its figures, and its movements as Redis keeps them.
-- EVICTED is the event time of the newest movement no longer kept, 0 for none; COUNTED_AT is false until a first count.
local NAME, BEFORE, ON_HAND, RESERVED, UNAVAILABLE, UNDER_WAY, EVICTED, COUNTED_AT, COUNTED, MOVEMENTS =
  1, 2, 3, 4, 5, 6, 7, 8, 9, 10
local FIGURES = 7
local MOVEMENT_FORMAT, MOVEMENT_BYTES -- from state/protocol/figures.py

-- A SKU at hand is an array, too. It begins as a position: the one it was read with, NAME false when there is none (a
-- table less for each line). Then comes what is known of the SKU in this call, and the figures of its head.
local SKU, KEY, OLDER, QUEUED, WAS, MARK, OFFSET, OTHERS, ALERTS = 11, 12, 13, 14, 15, 16, 17, 18, 19
-- VERSION, log timestamp of the oldest change not yet claimed (ms), the claim with `alerts` as text, sums_revision of
-- the sums (0: none), number of classes, newest event time (ms), unrouted, held, sum of max(0, ATP) of the
-- locations that count, newest day with demand, its units
local VERSION, CAUSE, CLAIM, REVISION, CLASSES, NEWEST, UNROUTED, HELD, BASE = 20, 21, 22, 23, 24, 25, 26, 27, 28
local DAY, UNITS, SUMS = 29, 30, 30

-- The lead is version, cause; token (0: never claimed), open, generation, available, cause; alerts; then comes the
-- revision, or all that follows as text.
local HEAD_FORMAT, LEAD_FORMAT, LEAD_AND_REST, CLASSES_AT, AFTER_LEAD, CLAIM_BYTES -- from state/protocol/figures.py
local DAY_FORMAT, DAY_BYTES -- from state/protocol/figures.py

local formats = {} -- of heads, by number of classes

local function head_format(classes)
  local known = formats[classes]
  if not known then
    known = HEAD_FORMAT .. string.rep('i8', classes)
    formats[classes] = known
  end
  return known
end

local function new_sku(sku, key, revision)
  return {
    false, 0, 0, 0, 0, 0, 0, false, 0, '',
    sku, key, '', false, 0, '', 0, false, false,
    0, 0, string.rep('\0', CLAIM_BYTES), revision, 0, 0, 0, 0, 0, 0, 0,
  }
end

local function sku_of(sku, key, text)
  local low, high = byte(text, CLASSES_AT, CLASSES_AT + 1)
  local s = {
    false, 0, 0, 0, 0, 0, 0, false, 0, '',
    sku, key, '', false, 0, '', 0, false, false,
    unpack_text(head_format(low + 256 * high), text),
  }
  local last = #s -- where unpacking stopped
  if s[last] <= #text then s[OLDER] = sub(text, s[last]) end
  s[last] = nil
  return s
end

local function head_of(s)
  local classes = s[CLASSES]
  return pack(head_format(classes), unpack(s, VERSION, SUMS + classes)) .. s[OLDER]
end

-- Read a position into an array that has none yet.
local function read_position(p, name, text)
  p[NAME] = name
  if not text then return end
  local figures, on_hand = unpack_text('<Bi8', text)
  p[BEFORE], p[ON_HAND], p[MOVEMENTS] = on_hand, on_hand, sub(text, 2 + 8 * figures)
  for i = 2, figures do p[BEFORE + i] = unpack_text('<i8', text, 8 * i - 6) end
end

local function position_of(name, text)
  local p = { name, 0, 0, 0, 0, 0, 0, false, 0, '' }
  read_position(p, name, text)
  return p
end

-- nil when there is nothing to keep.
local function position_text(p)
  local figures = FIGURES
  if not p[COUNTED_AT] then
    figures = EVICTED - BEFORE
    while figures > 1 and p[BEFORE + figures] == 0 do figures = figures - 1 end
  end
  if figures > 1 then
    return pack('<B' .. string.rep('i8', figures), figures, unpack(p, ON_HAND, BEFORE + figures)) .. p[MOVEMENTS]
  end
  if p[ON_HAND] == 0 and p[MOVEMENTS] == '' then return nil end
  return pack('<Bi8c0', 1, p[ON_HAND], p[MOVEMENTS])
end

local function above(units)
  return (units > 0) and units or 0
end

local function add_to_class(s, class, units)
  for i = s[CLASSES], class do
    s[SUMS + i + 1] = 0
    s[CLASSES] = i + 1
  end
  s[SUMS + class + 1] = s[SUMS + class + 1] + units
end

-- What a SKU has at some locations, as the sums hold it: by class (from 0), and what counts for `available`. `places` is
-- one list: field, class, floor and base of each. For those that are silent, whose stock does not count now.
local function part_at(key, places)
  local by_class, base, fields = {}, 0, {}
  for i = 1, #places, 4 do fields[#fields + 1] = places[i] end
  if #fields == 0 then return by_class, base end
  for i, text in ipairs(call('HMGET', key, unpack(fields))) do
    if text then
      local p, at = position_of('', text), 4 * i - 3
      local atp = p[ON_HAND] - p[RESERVED] - p[UNAVAILABLE]
      local class = places[at + 1]
      by_class[class] = (by_class[class] or 0) + above(atp - places[at + 2])
      if places[at + 3] == 1 then base = base + above(atp) end
    end
  end
  return by_class, base
end
