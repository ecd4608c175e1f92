package bench;

import java.io.IOException;
import java.io.Reader;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * Stock by SKU with Kafka Streams: read, drop copies, repartition by SKU, aggregate, tell Kafka and Redis.
 *
 * <p>Takes a file of properties: those that begin with {@code bench.} are ours, all others go to Kafka Streams.
 */
public final class StockApp {
  private static final String POSITIONS = "positions";

  private StockApp() {}

  public static void main(String[] args) throws IOException, InterruptedException {
    Properties given = new Properties();
    try (Reader file = Files.newBufferedReader(Path.of(args[0]))) {
      given.load(file);
    }
    KafkaStreams streams =
        new KafkaStreams(topology(given), new StreamsConfig(given));
    CountDownLatch ended = new CountDownLatch(1);
    streams.setUncaughtExceptionHandler(
        error -> {
          error.printStackTrace();
          ended.countDown();
          return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
    Runtime.getRuntime()
        .addShutdownHook(new Thread(() -> streams.close(Duration.ofSeconds(20))));
    streams.start();
    ended.await();
    System.exit(1);
  }

  static Topology topology(Properties given) {
    String seen = given.getProperty("bench.seen");
    boolean caching = Boolean.parseBoolean(given.getProperty("bench.caching"));
    boolean logging = Boolean.parseBoolean(given.getProperty("bench.logging"));
    StreamsBuilder builder = new StreamsBuilder();
    KStream<String, Position> positions =
        builder
            .stream(
                List.of(given.getProperty("bench.inputs").split(",")),
                Consumed.with(Serdes.ByteArray(), Serdes.ByteArray()))
            .process(new ReadEvents.Supplier(Seen.of(seen, logging)))
            .groupByKey(Grouped.with("by-sku", Serdes.String(), new Movement.Form()))
            .aggregate(
                Position::new,
                (sku, movement, position) -> position.moved(movement),
                materialized(given.getProperty("bench.store"), caching, logging))
            .toStream();
    int channels = Integer.parseInt(given.getProperty("bench.channels"));
    Updates updates = new Updates(channels);
    positions
        .mapValues(updates::json)
        .to(
            given.getProperty("bench.updates"),
            Produced.with(Serdes.String(), Serdes.ByteArray()));
    URI redis = URI.create(given.getProperty("bench.redis"));
    String totals = given.getProperty("bench.totals");
    positions.process(() -> new Totals(redis, totals));
    return builder.build(given);
  }

  private static Materialized<String, Position, KeyValueStore<Bytes, byte[]>> materialized(
      String store, boolean caching, boolean logging) {
    Materialized<String, Position, KeyValueStore<Bytes, byte[]>> made =
        store.equals("memory")
            ? Materialized.as(Stores.inMemoryKeyValueStore(POSITIONS))
            : Materialized.as(Stores.persistentKeyValueStore(POSITIONS));
    made = made.withKeySerde(Serdes.String()).withValueSerde(new Position.Form());
    made = caching ? made.withCachingEnabled() : made.withCachingDisabled();
    return logging ? made : made.withLoggingDisabled();
  }
}
