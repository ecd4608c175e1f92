-- What movements, counts and announcements do to the positions of a SKU.
--
-- Everything is read where it is first needed and written at the end: a read that fails leaves nothing
-- half done. Sums move by the difference at the touched position, if they were made under the policy that
-- the call carries; sums of another policy are given up and made anew before the next claim.

-- Kept of the movements of a position, for late counts: the newest, by event time, none of them this much older
-- than the newest of all.
local KEEP = 32
local WINDOW_MS = 72 * 3600 * 1000
local DEMAND_DAYS = 14
local DAY_MS = 86400000
local RECORD_TTL_MS = 60 * 24 * 3600 * 1000

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
  if name then s[POSITION] = position_of(name, text) end
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
  local p = s[POSITION]
  if p and p[NAME] == name then return p end
  local others = s[OTHERS]
  if not others then
    others = {}
    s[OTHERS] = others
  end
  p = others[name]
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

-- Set what a position has, and move the sums by the difference. `at` is the index behind which its place stands.
local function set_position(run, s, p, at, on_hand, unavailable)
  if s[REVISION] ~= run.revision then
    p[ON_HAND], p[UNAVAILABLE] = on_hand, unavailable
    return
  end
  local places = run.places
  local class, place_floor = places[at + 2], places[at + 3]
  local before, base_before = contribution(p, place_floor), contribution(p, 0)
  p[ON_HAND], p[UNAVAILABLE] = on_hand, unavailable
  local moved = contribution(p, place_floor) - before
  if class < s[CLASSES] then
    s[SUMS + class + 1] = s[SUMS + class + 1] + moved
  else
    add_to_class(s, class, moved)
  end
  if places[at + 4] == 1 then s[BASE] = s[BASE] + contribution(p, 0) - base_before end
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
    if days[i][1] > days[1][1] - DEMAND_DAYS then kept[#kept + 1] = pack(DAY_FORMAT, days[i][1], days[i][2]) end
  end
  s[DAY], s[UNITS], s[OLDER] = days[1][1], days[1][2], table.concat(kept)
end

local function add_demand(s, time, units)
  local day = floor(time / DAY_MS)
  if day == s[DAY] then
    s[UNITS] = s[UNITS] + units
  else
    insert_demand(s, day, units)
  end
end

-- Lay a movement among those of a position, and give up what is too much or too old.
local function keep(p, time, delta)
  local known, at = p[MOVEMENTS], 1
  local length = #known
  while at <= length and unpack_text('<i6', known, at) > time do at = at + MOVEMENT_BYTES end
  local movement = pack(MOVEMENT_FORMAT, time, delta)
  known = (at == 1) and movement .. known or sub(known, 1, at - 1) .. movement .. sub(known, at)
  if length == 0 then
    p[MOVEMENTS] = known
    return
  end
  length = length + MOVEMENT_BYTES
  local kept = length
  local oldest_kept = unpack_text('<i6', known) - WINDOW_MS
  while true do
    local oldest = unpack_text('<i6', known, kept - MOVEMENT_BYTES + 1)
    if kept <= KEEP * MOVEMENT_BYTES and oldest >= oldest_kept then break end
    if oldest > p[EVICTED] then p[EVICTED] = oldest end
    kept = kept - MOVEMENT_BYTES
  end
  p[MOVEMENTS] = (kept == length) and known or sub(known, 1, kept)
end

local function move(run, s, i)
  local lines, time = run.lines, run.time
  local at, delta, unavailable, sold = 4 * lines[i + 2], lines[i + 3], lines[i + 4], lines[i + 5]
  local name = run.places[at + 1]
  local p = position_at(s, name)
  if delta ~= 0 then
    local counted_at = p[COUNTED_AT]
    if counted_at and time <= counted_at then
      run.absorbed = run.absorbed + 1
      delta = 0
    else
      keep(p, time, delta)
    end
  end
  set_position(run, s, p, at, p[ON_HAND] + delta, p[UNAVAILABLE] + unavailable)
  if sold > 0 then add_demand(s, time, sold) end
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
  set_position(run, s, p, at, quantity + later, p[UNAVAILABLE])
  p[COUNTED_AT], p[COUNTED] = time, quantity
end

local function announce(run, s, i)
  local lines = run.lines
  local name, reference = run.places[4 * lines[i + 2] + 1], lines[i + 3]
  local p, known = position_at(s, name), run.references[reference]
  if not known then
    known = { key = run.prefix .. 'ref:' .. reference, net = {} }
    run.references[reference] = known
  end
  local field = s[SKU] .. US .. sub(name, 3)
  local before = known.net[field] or tonumber(call('HGET', known.key, field) or 0)
  local after = before + lines[i + 4]
  known.net[field] = after
  p[UNDER_WAY] = p[UNDER_WAY] + max(0, after) - max(0, before)
end

local function write_alerts(s, set)
  for name, text in pairs(s[ALERTS]) do
    set[#set + 1] = '!' .. name
    set[#set + 1] = text
  end
  set[#set + 1] = '!'
  set[#set + 1] = '1'
end

local function set_or_drop(s, p, set, gone)
  local text = position_text(p)
  if text then
    set[#set + 1] = p[NAME]
    set[#set + 1] = text
  else
    gone[#gone + 1] = p[NAME]
  end
  if p[ON_HAND] < 0 and p[BEFORE] >= 0 then alert(s, 'negative:' .. sub(p[NAME], 3), p[ON_HAND]) end
end

local function write_sku(run, s)
  if s[REVISION] ~= run.revision then
    s[REVISION] = 0
  else
    local available = s[BASE] - s[UNROUTED] - s[HELD]
    if available < 0 and s[WAS] >= 0 then alert(s, 'oversold:', available) end
  end
  s[VERSION] = next_version(s[VERSION], run.now_us, run.floor)
  local p = s[POSITION]
  if p and not s[OTHERS] and not s[ALERTS] and (p[ON_HAND] >= 0 or p[BEFORE] < 0) then
    local text = position_text(p)
    if text then
      call('HSET', s[KEY], '=', head_of(s), p[NAME], text)
      return
    end
  end
  local set, gone = { '=', head_of(s) }, {}
  if p then set_or_drop(s, p, set, gone) end
  if s[OTHERS] then
    for _, other in pairs(s[OTHERS]) do set_or_drop(s, other, set, gone) end
  end
  if s[ALERTS] then write_alerts(s, set) end
  wide('HSET', s[KEY], set)
  wide('HDEL', s[KEY], gone)
end

local function write_references(references)
  for _, reference in pairs(references) do
    local set, gone = {}, {}
    for field, net in pairs(reference.net) do
      if net == 0 then
        gone[#gone + 1] = field
      else
        set[#set + 1] = field
        set[#set + 1] = net
      end
    end
    wide('HSET', reference.key, set)
    wide('HDEL', reference.key, gone)
    call('PEXPIRE', reference.key, RECORD_TTL_MS)
  end
end
