package bench;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Set;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.ProcessorSupplier;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.StoreBuilder;

/** Reads events, drops what was seen before in this partition, and gives a movement for each line, keyed by SKU. */
final class ReadEvents implements Processor<byte[], byte[], String, Movement> {
  private final Event event = new Event();
  private final Seen seen;
  private ProcessorContext<String, Movement> context;

  private ReadEvents(Seen seen) {
    this.seen = seen;
  }

  @Override
  public void init(ProcessorContext<String, Movement> context) {
    this.context = context;
    seen.init(context);
  }

  @Override
  public void process(Record<byte[], byte[]> record) {
    try {
      event.read(record.value(), record.headers());
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
    if (seen.before(event.identity(), record.timestamp())) {
      return;
    }
    int sign = event.sign();
    for (int i = 0; i < event.lines; i++) {
      Movement movement = new Movement(event.location, sign * event.quantities[i]);
      // Made new, so that the headers of the event are not carried along.
      context.forward(new Record<>(event.skus[i], movement, record.timestamp()));
    }
  }

  record Supplier(Seen.Kind kind) implements ProcessorSupplier<byte[], byte[], String, Movement> {
    @Override
    public Processor<byte[], byte[], String, Movement> get() {
      return new ReadEvents(kind.made());
    }

    @Override
    public Set<StoreBuilder<?>> stores() {
      return Set.of(kind.builder());
    }
  }
}
