package bench;

import java.time.Duration;
import java.util.Map;
import java.util.function.Supplier;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;
import org.apache.kafka.streams.state.WindowStore;
import org.apache.kafka.streams.state.WindowStoreIterator;

/** The ids taken, of one partition. */
interface Seen {
  String NAME = "seen";

  void init(ProcessorContext<?, ?> context);

  /** Whether an id was taken before; it is now. */
  boolean before(long id, long time);

  /** One way to keep them: how its store is built, and who reads it. */
  record Kind(StoreBuilder<?> builder, Supplier<Seen> maker) {
    Seen made() {
      return maker.get();
    }
  }

  /** {@code window:HOURS} keeps them on disk for a time, {@code lru:COUNT} so many in memory. */
  static Kind of(String words, boolean logging) {
    String[] parts = words.split(":");
    int size = Integer.parseInt(parts[1]);
    StoreBuilder<?> builder =
        switch (parts[0]) {
          case "window" -> {
            Duration kept = Duration.ofHours(size);
            yield Stores.windowStoreBuilder(
                Stores.persistentWindowStore(NAME, kept, kept, false), Serdes.Long(), NOTHING);
          }
          case "lru" ->
              Stores.keyValueStoreBuilder(Stores.lruMap(NAME, size), Serdes.Long(), NOTHING);
          default -> throw new IllegalArgumentException("bench.seen: " + words);
        };
    if (logging) {
      builder.withLoggingEnabled(Map.of());
    } else {
      builder.withLoggingDisabled();
    }
    long keptMs = Duration.ofHours(size).toMillis();
    return new Kind(builder, parts[0].equals("lru") ? Newest::new : () -> new Window(keptMs));
  }

  org.apache.kafka.common.serialization.Serde<byte[]> NOTHING = Serdes.ByteArray();
  byte[] TAKEN = {1};

  /** As the examples of Kafka Streams do it: any record of the id within the time. */
  final class Window implements Seen {
    private final long keptMs;
    private WindowStore<Long, byte[]> store;

    Window(long keptMs) {
      this.keptMs = keptMs;
    }

    @Override
    public void init(ProcessorContext<?, ?> context) {
      store = context.getStateStore(NAME);
    }

    @Override
    public boolean before(long id, long time) {
      try (WindowStoreIterator<byte[]> found = store.fetch(id, time - keptMs, time + keptMs)) {
        if (found.hasNext()) {
          return true;
        }
      }
      store.put(id, TAKEN, time);
      return false;
    }
  }

  /** The newest ids, in memory. */
  final class Newest implements Seen {
    private KeyValueStore<Long, byte[]> store;

    @Override
    public void init(ProcessorContext<?, ?> context) {
      store = context.getStateStore(NAME);
    }

    @Override
    public boolean before(long id, long time) {
      return store.putIfAbsent(id, TAKEN) != null;
    }
  }
}
