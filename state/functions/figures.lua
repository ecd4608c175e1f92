-- How the figures of a SKU lie in Redis, and how they are held while a function runs.
--
-- `pos:<sku>` is a hash. Field `=`, the head, is packed little-endian integers of 8 bytes, but for the number
-- of classes (2), the hour and the day (4); it ends in the sum of each class and then in the older days with
-- demand, newest first (4 bytes day, 8 units). Field `l:<location>`, a position, is up to six integers without
-- trailing zeros; `!<kind>:<location>` is an alert not yet reported, `!` tells that there are some.
-- `out:<sku>` is a hash, too: field `=`, the claim, is five integers; `levels` and `ads` are as emitted.
-- Packed text costs a third of msgpack here; version and cause lead the head, to be exchanged unread.

-- A SKU at hand is an array: what is known of it in this call, then the figures of its head.
local SKU, KEY, OLDER, MOVED, QUEUED, WAS, MARK, OFFSET, POSITION, OTHERS, ALERTS, KEPT_BEFORE =
  1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12
-- VERSION, log timestamp of the oldest change not yet claimed (ms), policy revision of the sums (0: none), number
-- of classes, newest event time (ms), unrouted, held, sum of max(0, ATP) of the locations that count, newest
-- movement kept and evicted (ms), hour in which the movements' life was renewed, newest day with demand, its units
local VERSION, CAUSE, REVISION, CLASSES, NEWEST, UNROUTED, HELD, BASE = 13, 14, 15, 16, 17, 18, 19, 20
local KEPT, EVICTED, HOUR, DAY, UNITS, SUMS = 21, 22, 23, 24, 25, 25

local HEAD_FORMAT = '<i8i8i8I2i8i8i8i8i8i8i4i4i8'
local CLASSES_AT = 25 -- the byte at which the number of classes stands
local AFTER_CAUSE = 17 -- the byte behind version and cause
local DAY_FORMAT, DAY_BYTES = '<i4i8', 12
local CLAIM_FORMAT = '<i8i8i8i8i8' -- token, open, generation, available, cause

-- A position at hand: its field, on_hand as it was, and its figures; COUNTED_AT is nil until a first count.
local NAME, BEFORE, ON_HAND, RESERVED, UNAVAILABLE, UNDER_WAY, COUNTED_AT, COUNTED = 1, 2, 3, 4, 5, 6, 7, 8

local formats = {} -- by number of classes

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
    sku, key, '', false, false, 0, '', 0, false, false, false, ABSENT,
    0, 0, revision, 0, 0, 0, 0, 0, ABSENT, ABSENT, 0, 0, 0,
  }
end

local function sku_of(sku, key, text)
  local low, high = byte(text, CLASSES_AT, CLASSES_AT + 1)
  local s = {
    sku, key, '', false, false, 0, '', 0, false, false, false, ABSENT,
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
  if not text then return { name, 0, 0, 0, 0, 0 } end
  if #text == 8 then
    local on_hand = unpack_text('<i8', text)
    return { name, on_hand, on_hand, 0, 0, 0 }
  end
  local p = { name, 0, 0, 0, 0, 0 }
  for i = 1, #text / 8 do p[BEFORE + i] = unpack_text('<i8', text, 8 * i - 7) end
  p[BEFORE] = p[ON_HAND]
  return p
end

-- nil when there is nothing to keep.
local function position_text(p)
  if p[COUNTED_AT] then return pack('<i8i8i8i8i8i8', unpack(p, ON_HAND, COUNTED)) end
  if p[UNDER_WAY] ~= 0 then return pack('<i8i8i8i8', unpack(p, ON_HAND, UNDER_WAY)) end
  if p[UNAVAILABLE] ~= 0 then return pack('<i8i8i8', unpack(p, ON_HAND, UNAVAILABLE)) end
  if p[RESERVED] ~= 0 then return pack('<i8i8', p[ON_HAND], p[RESERVED]) end
  if p[ON_HAND] ~= 0 then return pack('<i8', p[ON_HAND]) end
  return nil
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
