-- What is under way to locations: announced under a reference, less what was received.
--
-- `ref:<reference>` is a hash: `<sku>US<location>` announced less received, `US<location>` there once nothing more is
-- to come there, `+` of how many fields the net is above 0. `incoming` of a position is the sum of its nets above 0.
-- A reference under which something is still to come is permanent: expired, its units would be under way for ever.

local announce, close_reference, write_references
do
  local CLOSED_TTL_MS -- from state/protocol/keys.py
  local OPEN_NETS = '+' -- field of a reference: of how many of its fields the net is above 0

  -- A reference at hand: `net` by field as Redis keeps it, `closed` by location.
  local function reference_of(run, name)
    local known = run.references[name]
    if not known then
      known = { key = run.prefix .. 'ref:' .. name, net = {}, closed = {}, changed = {}, open = false }
      run.references[name] = known
    end
    return known
  end

  local function refer(known, field, before, after)
    known.net[field], known.changed[field] = after, true
    known.open = known.open + ((after > 0) and 1 or 0) - ((before > 0) and 1 or 0)
    return max(0, after) - max(0, before)
  end

  function announce(run, s, i)
    local lines = run.lines
    local name = run.places[4 * lines[i + 2] + 1]
    local p, known, location = position_at(s, name), reference_of(run, lines[i + 3]), sub(name, 3)
    local field = s[SKU] .. US .. location
    if known.net[field] == nil or known.closed[location] == nil then
      local found = call('HMGET', known.key, field, US .. location, OPEN_NETS)
      if known.net[field] == nil then known.net[field] = tonumber(found[1] or 0) end
      if known.closed[location] == nil then known.closed[location] = found[2] and true or false end
      known.open = known.open or tonumber(found[3] or 0)
      known.has_closed = known.has_closed or known.closed[location]
    end
    if known.closed[location] then return end
    local before = known.net[field]
    p[UNDER_WAY] = p[UNDER_WAY] + refer(known, field, before, before + lines[i + 4])
  end

  -- Nothing more is to come to a location under a reference, whatever was announced or will be.
  function close_reference(run, i)
    local location, known = run.lines[i + 2], reference_of(run, run.lines[i + 3])
    local flat, open = call('HGETALL', known.key), 0
    for j = 1, #flat, 2 do
      if flat[j] == OPEN_NETS then
        open = tonumber(flat[j + 1])
      elseif known.net[flat[j]] == nil then
        known.net[flat[j]] = tonumber(flat[j + 1])
      end
    end
    known.open = known.open or open
    known.closed[location], known.has_closed = true, true
    known.net[US .. location], known.changed[US .. location] = 1, true
    for field, net in pairs(known.net) do
      local sku, where = string.match(field, '^([^\31]+)\31(.*)$')
      if where == location then
        local moved = refer(known, field, net, 0)
        if moved ~= 0 then
          local s = run.skus[sku] or load_sku(run, sku)
          touch(s, run)
          local p = position_at(s, 'l:' .. location)
          p[UNDER_WAY] = p[UNDER_WAY] + moved
        end
      end
    end
  end

  -- It counts its nets above 0: to look at all of them each time would cost with its size.
  function write_references(references)
    for _, known in pairs(references) do
      local set, gone = {}, {}
      for field in pairs(known.changed) do
        local net = known.net[field]
        if net == 0 then
          gone[#gone + 1] = field
        else
          set[#set + 1] = field
          set[#set + 1] = net
        end
      end
      if known.open > 0 then
        set[#set + 1] = OPEN_NETS
        set[#set + 1] = known.open
      else
        gone[#gone + 1] = OPEN_NETS
      end
      wide('HSET', known.key, set)
      wide('HDEL', known.key, gone)
      if known.open > 0 then
        call('PERSIST', known.key)
      else
        call('PEXPIRE', known.key, known.has_closed and CLOSED_TTL_MS or RECORD_TTL_MS)
      end
    end
  end
end
