-- What movements and counts do to the positions of a SKU.
--
-- Everything is read where it is first needed and written at the end: a read that fails leaves nothing
-- half done. Sums move by the difference at the touched position, if they were made under the policy that
-- the call carries; sums of another policy are given up, and recomputed before the next claim.

-- Kept of the movements of a position, for late counts: the newest, by event time, none of them this much older
-- than the newest of all.
local MOVEMENTS_BYTES, MOVEMENTS_WINDOW_MS -- from state/protocol/figures.py
local BUCKET_DAYS, DAY_MS -- from state/demand/velocity.py
local RECORD_TTL_MS -- from state/protocol/keys.py

-- The SKU, read with the position that the event is about to touch, if any.
local function load_sku(run, sku, name)
  local key = run.prefix .. 'pos:' .. sku
  local head, text
  if name then
    local values = call('HMGET', key, '=', name)
    head, text = values[1], values[2]
  else
    head = call('HGET', key, '=')
  end
  local s
  if head then
    s = sku_of(sku, key, head)
    s[QUEUED] = s[CAUSE] > 0 -- changed and not claimed since: it is due already
    s[WAS] = s[BASE] - s[UNROUTED] - s[HELD]
  else
    s = new_sku(sku, key, run.revision)
  end
  if name then read_position(s, name, text) end
  run.skus[sku] = s
  run.touched[#run.touched + 1] = s
  return s
end

local function touch(s, run)
  s[MARK], s[OFFSET] = run.mark, run.offset
  if run.time > s[NEWEST] then s[NEWEST] = run.time end
  local cause = s[CAUSE]
  if cause == 0 or run.log < cause then s[CAUSE] = run.log end
end

local function position_at(s, name)
  if s[NAME] == name then return s end
  local others = s[OTHERS]
  if not others then
    others = {}
    s[OTHERS] = others
  end
  local p = others[name]
  if not p then
    p = position_of(name, call('HGET', s[KEY], name))
    others[name] = p
  end
  return p
end

local function alert(s, name, figure)
  s[ALERTS] = s[ALERTS] or {}
  s[ALERTS][name] = int(figure) .. ' ' .. s[MARK] .. '/' .. int(s[OFFSET])
end

-- Move what a position has, and the sums by the difference. `at` is the index behind which its place stands.
local function shift_position(run, s, p, at, on_hand, unavailable)
  local before = p[ON_HAND] - p[RESERVED] - p[UNAVAILABLE]
  local after = before + on_hand - unavailable
  p[ON_HAND], p[UNAVAILABLE] = p[ON_HAND] + on_hand, p[UNAVAILABLE] + unavailable
  if s[REVISION] ~= run.revision then return end
  local places = run.places
  local class, place_floor = places[at + 2], places[at + 3]
  local moved = above(after - place_floor) - above(before - place_floor)
  if class < s[CLASSES] then
    s[SUMS + class + 1] = s[SUMS + class + 1] + moved
  else
    add_to_class(s, class, moved)
  end
  if places[at + 4] == 1 then s[BASE] = s[BASE] + above(after) - above(before) end
end

-- Lay units of a day that is not the newest under or over the others. Days 14 or more before the newest weigh nothing.
local function insert_demand(s, day, units)
  local older, days = s[OLDER], {}
  if s[UNITS] > 0 then days[1] = { s[DAY], s[UNITS] } end
  for at = 1, #older, DAY_BYTES do
    local known, sold = unpack_text(DAY_FORMAT, older, at)
    days[#days + 1] = { known, sold }
  end
  local at = 1
  while days[at] and days[at][1] > day do at = at + 1 end
  if days[at] and days[at][1] == day then
    days[at][2] = days[at][2] + units
  else
    table.insert(days, at, { day, units })
  end
  local kept = {}
  for i = 2, #days do
    if days[i][1] > days[1][1] - BUCKET_DAYS then kept[#kept + 1] = pack(DAY_FORMAT, days[i][1], days[i][2]) end
  end
  s[DAY], s[UNITS], s[OLDER] = days[1][1], days[1][2], table.concat(kept)
end

local function add_demand(run, s, units)
  if run.day == s[DAY] then
    s[UNITS] = s[UNITS] + units
  else
    insert_demand(s, run.day, units)
  end
end

-- Give up the oldest movements of a position: what is too much, or too old.
local function evict(p, known, oldest_kept)
  local kept = #known
  local oldest = unpack_text('<i6', known, kept - MOVEMENT_BYTES + 1)
  while kept > MOVEMENTS_BYTES or oldest < oldest_kept do
    if oldest > p[EVICTED] then p[EVICTED] = oldest end
    kept = kept - MOVEMENT_BYTES
    oldest = unpack_text('<i6', known, kept - MOVEMENT_BYTES + 1)
  end
  return (kept < #known) and sub(known, 1, kept) or known
end

-- Lay a movement among those of a position.
local function keep(p, time, delta)
  local known, movement = p[MOVEMENTS], pack(MOVEMENT_FORMAT, time, delta)
  if known == '' then
    p[MOVEMENTS] = movement
    return
  end
  local newest = unpack_text('<i6', known)
  if time >= newest then
    known, newest = movement .. known, time
  else
    local at = MOVEMENT_BYTES + 1
    while at <= #known and unpack_text('<i6', known, at) > time do at = at + MOVEMENT_BYTES end
    known = sub(known, 1, at - 1) .. movement .. sub(known, at)
  end
  p[MOVEMENTS] = evict(p, known, newest - MOVEMENTS_WINDOW_MS)
end

-- What a change of on_hand still weighs: nothing if a count had seen it. Otherwise it is kept for counts to come.
local function kept_of(run, p, time, delta)
  if delta == 0 then return 0 end
  local counted_at = p[COUNTED_AT]
  if counted_at and time <= counted_at then
    run.absorbed = run.absorbed + 1
    return 0
  end
  keep(p, time, delta)
  return delta
end

local function move(run, s, i)
  local lines = run.lines
  local at, sold = 4 * lines[i + 2], lines[i + 5]
  local p = position_at(s, run.places[at + 1])
  local delta = kept_of(run, p, run.time, lines[i + 3])
  shift_position(run, s, p, at, delta, lines[i + 4])
  if sold > 0 then add_demand(run, s, sold) end
end

-- Lay a count under the movements after it. Those before it, and what was evicted of them, weigh nothing any more.
local function count(run, s, i)
  local lines = run.lines
  local at, time, quantity = 4 * lines[i + 2], lines[i + 3], lines[i + 4]
  local name = run.places[at + 1]
  local p = position_at(s, name)
  local last = p[COUNTED_AT]
  if last and (time < last or (time == last and quantity >= p[COUNTED])) then return end
  local known, kept, later = p[MOVEMENTS], 0, 0
  while kept < #known do
    local moved_at, delta = unpack_text(MOVEMENT_FORMAT, known, kept + 1)
    if moved_at <= time then break end
    kept, later = kept + MOVEMENT_BYTES, later + delta
  end
  p[MOVEMENTS] = sub(known, 1, kept)
  if p[EVICTED] > time then alert(s, 'drift:' .. sub(name, 3), time) else p[EVICTED] = 0 end
  shift_position(run, s, p, at, quantity + later - p[ON_HAND], 0)
  p[COUNTED_AT], p[COUNTED] = time, quantity
end

local function write_alerts(s, set)
  s[CLAIM] = sub(s[CLAIM], 1, CLAIM_BYTES - 1) .. '\1'
  for name, text in pairs(s[ALERTS]) do
    set[#set + 1] = '!' .. name
    set[#set + 1] = text
  end
end

local function set_or_drop(p, set, gone)
  local text = position_text(p)
  if text then
    set[#set + 1] = p[NAME]
    set[#set + 1] = text
  else
    gone[#gone + 1] = p[NAME]
  end
end

local function note_negative(s, p)
  if p[ON_HAND] < 0 and p[BEFORE] >= 0 then alert(s, 'negative:' .. sub(p[NAME], 3), p[ON_HAND]) end
end

local function write_sku(run, s)
  local others = s[OTHERS]
  if s[REVISION] ~= run.revision then
    s[REVISION] = 0
  else
    local available = s[BASE] - s[UNROUTED] - s[HELD]
    if available < 0 and s[WAS] >= 0 then alert(s, 'oversold:', available) end
  end
  if s[NAME] then note_negative(s, s) end
  s[VERSION] = next_version(s[VERSION], run.now_us, run.floor)
  if s[NAME] and not others and not s[ALERTS] then
    local text = position_text(s)
    if text then
      call('HSET', s[KEY], '=', head_of(s), s[NAME], text)
      return
    end
  end
  local set, gone = { '=', '' }, {}
  if s[NAME] then set_or_drop(s, set, gone) end
  if others then
    for _, other in pairs(others) do
      note_negative(s, other)
      set_or_drop(other, set, gone)
    end
  end
  if s[ALERTS] then write_alerts(s, set) end
  set[2] = head_of(s)
  wide('HSET', s[KEY], set)
  wide('HDEL', s[KEY], gone)
end
