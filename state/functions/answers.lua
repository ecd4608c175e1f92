-- The movements that an order answers for: goods that came back, and shipments that a supplier's figures may have seen.
--
-- Which movements these are follows from the facts of its record (orders.lua) alone:
--
--     of what came back of a SKU as much counts as was shipped, the earliest first: by event time, then location,
--     then the sellable before the damaged. All of it counts where the record does not know that the SKU was asked
--     for: it was shipped before this store began, or so long ago that the record is gone
--
--     a shipment by a supplier whose figures are net of orders happened when its order was placed, if that was
--     earlier than itself: a figure as of any later moment has seen it
--
-- Whatever fact comes, the figures move by the difference between what follows now and what followed before. So they
-- are, at any moment, those of the facts met, and no order of arrival matters.

local index, learn_answer, standing, move_answers
do
  local function of_sku(record, sku)
    local known = record.by_sku[sku]
    if not known then
      known = { asked = {}, shipped = 0, returned = 0, back = {}, netted = {} }
      record.by_sku[sku] = known
    end
    return known
  end

  -- Units added to a fact.
  function learn_answer(record, field, units)
    local kind, rest = sub(field, 1, 2), sub(field, 3)
    if kind == 'a:' then
      local channel, sku = string.match(rest, '^([^\31]*)\31(.*)$')
      of_sku(record, sku).asked[channel] = true
    elseif kind == 's:' then
      local known = of_sku(record, string.match(rest, '^[^\31]*\31([^\31]*)'))
      known.shipped = known.shipped + units
    elseif kind == 'r:' then
      local sku, time, location, condition = string.match(rest, '^([^\31]*)\31([^\31]*)\31([^\31]*)\31(.*)$')
      local known = of_sku(record, sku)
      local entry = known.back[field]
      if not entry then
        entry = { time = tonumber(time), location = location, is_damaged = condition == 'd', units = 0 }
        known.back[field] = entry
      end
      entry.units, known.returned = entry.units + units, known.returned + units
    elseif kind == 'n:' then
      local channel, sku, location, time = string.match(rest, '^([^\31]*)\31([^\31]*)\31([^\31]*)\31(.*)$')
      local netted = of_sku(record, sku).netted
      netted[field] = netted[field] or { channel = channel, time = tonumber(time), location = location, units = 0 }
      netted[field].units = netted[field].units + units
    end
  end

  -- What the facts of a record say, by SKU; from now on `learn_answer` keeps it up.
  function index(record)
    if record.by_sku then return end
    record.by_sku = {}
    for field, value in pairs(record.facts) do
      learn_answer(record, field, value)
    end
  end

  -- Redis compares texts by the rules of its locale: these are compared by bytes.
  local function text_before(a, b)
    for i = 1, min(#a, #b) do
      local x, y = byte(a, i), byte(b, i)
      if x ~= y then return x < y end
    end
    return #a < #b
  end

  local function back_before(a, b)
    if a.time ~= b.time then return a.time < b.time end
    if a.location ~= b.location then return text_before(a.location, b.location) end
    return b.is_damaged and not a.is_damaged
  end

  local function put(found, location, time, on_hand, unavailable)
    local key = location .. US .. int(time)
    local entry = found[key]
    if not entry then
      entry = { location = location, time = time, on_hand = 0, unavailable = 0 }
      found[key] = entry
    end
    entry.on_hand, entry.unavailable = entry.on_hand + on_hand, entry.unavailable + unavailable
  end

  -- When a shipment counts as having happened.
  local function happened(record, known, shipment)
    local time = shipment.time
    for channel in pairs(known.asked) do
      if shipment.channel == '' or shipment.channel == channel then
        local placed = tonumber(string.match(record.facts['p:' .. channel] or '', '\31(.*)$') or nil)
        if placed and placed < time then time = placed end
      end
    end
    return time
  end

  -- The movements of a SKU that follow from the facts, and the units that came back beyond those shipped.
  function standing(record, sku)
    local found, known = {}, of_sku(record, sku)
    local back, left = {}, known.returned
    if next(known.asked) then left = min(left, known.shipped) end
    local beyond = known.returned - left
    for _, entry in pairs(known.back) do back[#back + 1] = entry end
    table.sort(back, back_before)
    for _, entry in ipairs(back) do
      local units = min(entry.units, left)
      left = left - units
      put(found, entry.location, entry.time, units, entry.is_damaged and units or 0)
    end
    for _, shipment in pairs(known.netted) do
      put(found, shipment.location, happened(record, known, shipment), -shipment.units, 0)
    end
    return { found = found, beyond = beyond }
  end

  -- `at` is the index behind which the place of the event stands. Of another location neither class nor floor are
  -- known here: the sums are given up, and recomputed before the next claim.
  local function shift_answer(run, s, entry, on_hand, unavailable, at)
    if on_hand == 0 and unavailable == 0 then return end
    local name = 'l:' .. entry.location
    local p = position_at(s, name)
    on_hand = kept_of(run, p, entry.time, on_hand)
    if at and run.places[at + 1] == name then
      shift_position(run, s, p, at, on_hand, unavailable)
    else
      p[ON_HAND], p[UNAVAILABLE], s[REVISION] = p[ON_HAND] + on_hand, p[UNAVAILABLE] + unavailable, 0
    end
  end

  -- Move the figures from what followed from the facts before to what follows from them now.
  function move_answers(run, s, record, order, before, at)
    local after = standing(record, s[SKU])
    for key, entry in pairs(after.found) do
      local was = before.found[key]
      local on_hand, unavailable = entry.on_hand, entry.unavailable
      if was then on_hand, unavailable = on_hand - was.on_hand, unavailable - was.unavailable end
      shift_answer(run, s, entry, on_hand, unavailable, at)
    end
    for key, entry in pairs(before.found) do
      if not after.found[key] then shift_answer(run, s, entry, -entry.on_hand, -entry.unavailable, at) end
    end
    if after.beyond > before.beyond then alert(s, 'overreturned:' .. order, after.beyond) end
  end
end
