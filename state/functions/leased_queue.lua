-- The leased queue: members, each with the time (ms) from which it is due, and the consumers that share them.
--
-- A consumer claims members that are due. It gives each a token, kept with what the member stands for, and a lease: the
-- member is due again when that ends, so nothing is lost with a consumer. A settlement counts only while its token is
-- the member's latest; it tells when the member is due next. The SKUs of a shard are the first such queue: `claim.lua`
-- and `settle.lua` give and compare its tokens.
--
-- A queue is a sorted set. `later` is a second one, of members that wait for business time, until `wake` moves them.

local leased_queue = {}
do
  local function all_at(time, members)
    local list, n, at = {}, 0, int(time)
    for i = 1, #members do
      list[n + 1], list[n + 2] = at, members[i]
      n = n + 2
    end
    return list
  end

  -- Since when the member has been due that has been so longest, 0 when none is.
  function leased_queue.oldest(key, now_ms)
    local since = tonumber(call('ZRANGE', key, 0, 0, 'WITHSCORES')[2] or 0)
    return (since <= now_ms) and since or 0
  end

  -- Members become due each at its time, in [time, member, ...], unless they are due earlier.
  function leased_queue.spread(key, times)
    for i = 1, #times, WIDE do
      call('ZADD', key, 'LT', unpack(times, i, min(i + WIDE - 1, #times)))
    end
  end

  -- Members become due now, unless they are due earlier.
  function leased_queue.make_due(key, now_ms, members)
    leased_queue.spread(key, all_at(now_ms, members))
  end

  -- What waited for a business time that has come is due now.
  function leased_queue.wake(later, key, business_ms, now_ms, limit)
    local members = call('ZRANGEBYSCORE', later, '-inf', business_ms, 'LIMIT', 0, limit)
    if #members > 0 then
      leased_queue.make_due(key, now_ms, members)
      wide('ZREM', later, members)
    end
  end

  -- The members that are due, longest due first.
  function leased_queue.due(key, now_ms, limit)
    return call('ZRANGEBYSCORE', key, '-inf', now_ms, 'LIMIT', 0, limit)
  end

  function leased_queue.lease(key, members, until_ms)
    wide('ZADD', key, all_at(until_ms, members))
  end

  -- Settle: `due` and `waiting` are [time, member, ...], `rest` the members that wait for nothing.
  function leased_queue.settle(later, key, due, waiting, rest)
    wide('ZADD', key, due)
    wide('ZADD', later, waiting)
    wide('ZREM', later, rest)
  end
end
