-- How the figures of a SKU lie in Redis, and how they are held while a function runs.
--
-- `pos:<sku>` is a hash. Field `=`, the head, is packed little-endian integers of 8 bytes, but for the number
-- of classes (2) and the day (4); it ends in the sum of each class and then in the older days with demand,
-- newest first (4 bytes day, 8 units). Field `l:<location>`, a position, is a byte that tells how many of its
-- seven figures follow (zeros at the end are left out), these, and its recent movements, newest first: event time
-- (ms) and change of on_hand, 6 bytes each. `!<kind>:<location>` is an alert not yet reported, `!` tells that
-- there are some.
-- `out:<sku>` is a hash, too: field `=`, the claim, is five integers; `levels` and `ads` are as emitted.
-- Packed text costs a third of msgpack here; version and cause lead the head, to be exchanged unread.

-- A SKU at hand is an array: what is known of it in this call, then the figures of its head.
local SKU, KEY, OLDER, QUEUED, WAS, MARK, OFFSET, POSITION, OTHERS, ALERTS = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
-- VERSION, log timestamp of the oldest change not yet claimed (ms), policy revision of the sums (0: none), number
-- of classes, newest event time (ms), unrouted, held, sum of max(0, ATP) of the locations that count, newest
-- day with demand, its units
local VERSION, CAUSE, REVISION, CLASSES, NEWEST, UNROUTED, HELD, BASE = 11, 12, 13, 14, 15, 16, 17, 18
local DAY, UNITS, SUMS = 19, 20, 20

local HEAD_FORMAT = '<i8i8i8I2i8i8i8i8i4i8'
local CLASSES_AT = 25 -- the byte at which the number of classes stands
local AFTER_CAUSE = 17 -- the byte behind version and cause
local DAY_FORMAT, DAY_BYTES = '<i4i8', 12
local CLAIM_FORMAT = '<i8i8i8i8i8' -- token, open, generation, available, cause

-- A position at hand: its field, on_hand as it was, its figures, and its movements as they lie in Redis. EVICTED is
-- the event time of the newest movement no longer kept, 0 for none; COUNTED_AT is false until a first count.
local NAME, BEFORE, ON_HAND, RESERVED, UNAVAILABLE, UNDER_WAY, EVICTED, COUNTED_AT, COUNTED, MOVEMENTS =
  1, 2, 3, 4, 5, 6, 7, 8, 9, 10
local FIGURES = 7
local MOVEMENT_FORMAT, MOVEMENT_BYTES = '<i6i6', 12

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
    sku, key, '', false, 0, '', 0, false, false, false,
    0, 0, revision, 0, 0, 0, 0, 0, 0, 0,
  }
end

local function sku_of(sku, key, text)
  local low, high = byte(text, CLASSES_AT, CLASSES_AT + 1)
  local s = {
    sku, key, '', false, 0, '', 0, false, false, false,
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

local function with_version(head, version, cause)
  return pack('<i8i8', version, cause) .. sub(head, AFTER_CAUSE)
end

local function position_of(name, text)
  if not text then return { name, 0, 0, 0, 0, 0, 0, false, 0, '' } end
  local figures = byte(text)
  if figures == 1 then
    local on_hand = unpack_text('<i8', text, 2)
    return { name, on_hand, on_hand, 0, 0, 0, 0, false, 0, sub(text, 10) }
  end
  local p = { name, 0, 0, 0, 0, 0, 0, false, 0, sub(text, 2 + 8 * figures) }
  for i = 1, figures do p[BEFORE + i] = unpack_text('<i8', text, 8 * i - 6) end
  p[BEFORE] = p[ON_HAND]
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
    local known = { figures }
    for i = 1, figures do known[i + 1] = pack('<i8', p[BEFORE + i]) end
    known[1] = string.char(figures)
    return table.concat(known) .. p[MOVEMENTS]
  end
  if p[ON_HAND] == 0 and p[MOVEMENTS] == '' then return nil end
  return pack('<Bi8c0', 1, p[ON_HAND], p[MOVEMENTS])
end

-- What a position gives above a floor.
local function contribution(p, place_floor)
  local units = p[ON_HAND] - p[RESERVED] - p[UNAVAILABLE] - place_floor
  return (units > 0) and units or 0
end

local function add_to_class(s, class, units)
  for i = s[CLASSES], class do
    s[SUMS + i + 1] = 0
    s[CLASSES] = i + 1
  end
  s[SUMS + class + 1] = s[SUMS + class + 1] + units
end
