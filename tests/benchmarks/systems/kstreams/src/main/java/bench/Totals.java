package bench;

import java.net.URI;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import redis.clients.jedis.Jedis;

/**
 * Writes the total of each changed SKU to a hash of Redis, many in one command.
 *
 * <p>The totals are absolute, so that writing one again does no harm. A crash between a commit and the next write
 * leaves the totals of that moment behind until their SKUs change again; that is let pass here.
 */
final class Totals implements Processor<String, Position, Void, Void> {
  private static final Duration EVERY = Duration.ofMillis(50);
  private static final int MANY = 2_000;

  private final URI redis;
  private final String key;
  private final Map<String, String> waiting = new HashMap<>();
  private Jedis client;

  Totals(URI redis, String key) {
    this.redis = redis;
    this.key = key;
  }

  @Override
  public void init(ProcessorContext<Void, Void> context) {
    client = new Jedis(redis);
    context.schedule(EVERY, PunctuationType.WALL_CLOCK_TIME, now -> write());
  }

  @Override
  public void process(Record<String, Position> record) {
    waiting.put(record.key(), Long.toString(record.value().total()));
    if (waiting.size() >= MANY) {
      write();
    }
  }

  @Override
  public void close() {
    write();
    client.close();
  }

  private void write() {
    if (!waiting.isEmpty()) {
      client.hset(key, waiting);
      waiting.clear();
    }
  }
}
