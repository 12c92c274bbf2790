package bench;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.processor.TimestampExtractor;
import org.apache.kafka.streams.state.Stores;

/**
 * Mean heartbeat latency per link in windows of 120 s that hop by 30 s, exactly once, by the event time in {@code ts}.
 *
 * <p>Each record is parsed once, by a streaming parser, in the deserializer; one that cannot be parsed is skipped.
 */
public final class Means {
    private static final JsonFactory JSON = new JsonFactory();
    private static final Duration SIZE = Duration.ofSeconds(120);
    private static final Duration HOP = Duration.ofSeconds(30);
    private static final Duration GRACE = Duration.ofSeconds(180);

    /** What the job reads of a record; latency is NaN when there is none. */
    record Beat(long time, double latency) {}

    /** What a window holds. */
    record Mean(double total, long count) {
        Mean with(double latency) {
            return new Mean(total + latency, count + 1);
        }
    }

    private Means() {}

    static Beat parse(byte[] value) {
        if (value == null) {
            return null;
        }
        long time = -1;
        double latency = Double.NaN;
        try (JsonParser parser = JSON.createParser(value)) {
            if (parser.nextToken() != JsonToken.START_OBJECT) {
                return null;
            }
            while (parser.nextToken() == JsonToken.FIELD_NAME) {
                String name = parser.currentName();
                JsonToken token = parser.nextToken();
                if (name.equals("ts") && token == JsonToken.VALUE_NUMBER_INT) {
                    time = parser.getLongValue();
                } else if (name.equals("data") && token == JsonToken.START_OBJECT) {
                    while (parser.nextToken() == JsonToken.FIELD_NAME) {
                        boolean wanted = parser.currentName().equals("latency_ms");
                        JsonToken inner = parser.nextToken();
                        if (wanted && inner.isNumeric()) {
                            latency = parser.getDoubleValue();
                        } else {
                            parser.skipChildren();
                        }
                    }
                } else {
                    parser.skipChildren();
                }
            }
            return parser.currentToken() == JsonToken.END_OBJECT ? new Beat(time, latency) : null;
        } catch (IOException error) {
            return null;
        }
    }

    /** The event's own time; −1 makes Kafka Streams skip the record. */
    public static final class ByEvent implements TimestampExtractor {
        @Override
        public long extract(ConsumerRecord<Object, Object> record, long partitionTime) {
            return record.value() instanceof Beat beat ? beat.time() : -1;
        }
    }

    private static Serde<Beat> beats() {
        return Serdes.serdeFrom(
                (topic, beat) -> {
                    throw new UnsupportedOperationException("beats are read only");
                },
                (topic, value) -> parse(value));
    }

    private static Serde<Mean> means() {
        return Serdes.serdeFrom(
                (topic, mean) -> mean == null
                        ? null
                        : ByteBuffer.allocate(16).putDouble(mean.total()).putLong(mean.count()).array(),
                (topic, bytes) -> {
                    if (bytes == null) {
                        return null;
                    }
                    ByteBuffer buffer = ByteBuffer.wrap(bytes);
                    return new Mean(buffer.getDouble(), buffer.getLong());
                });
    }

    private static byte[] json(long start, Mean mean) {
        String text = "{\"start\":" + start + ",\"total\":" + mean.total() + ",\"count\":" + mean.count()
                + ",\"mean\":" + mean.total() / mean.count() + "}";
        return text.getBytes(StandardCharsets.US_ASCII);
    }

    private static String need(String name) {
        String value = System.getenv(name);
        if (value == null) {
            throw new IllegalArgumentException(name + " is not set");
        }
        return value;
    }

    public static void main(String[] arguments) throws InterruptedException {
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, need("BENCH_GROUP"));
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, need("BENCH_BOOTSTRAP"));
        settings.put(StreamsConfig.STATE_DIR_CONFIG, need("BENCH_STATE"));
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 100);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 64L * 1024 * 1024);
        settings.put(StreamsConfig.DEFAULT_TIMESTAMP_EXTRACTOR_CLASS_CONFIG, ByEvent.class);
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.COMPRESSION_TYPE_CONFIG), "lz4");
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), 256 * 1024);

        StreamsBuilder builder = new StreamsBuilder();
        builder.stream(need("BENCH_TOPIC"), Consumed.with(Serdes.ByteArray(), beats()))
                .filter((key, beat) -> !Double.isNaN(beat.latency()))
                .groupByKey(Grouped.with(Serdes.ByteArray(), beats()))
                .windowedBy(TimeWindows.ofSizeAndGrace(SIZE, GRACE).advanceBy(HOP))
                .aggregate(
                        () -> new Mean(0, 0),
                        (key, beat, mean) -> mean.with(beat.latency()),
                        Materialized.<byte[], Mean>as(
                                        Stores.inMemoryWindowStore("means", SIZE.plus(GRACE), SIZE, false))
                                .withKeySerde(Serdes.ByteArray())
                                .withValueSerde(means())
                                .withCachingEnabled())
                .toStream()
                .map((key, mean) -> KeyValue.pair(key.key(), json(key.window().start(), mean)))
                .to(need("BENCH_OUTPUT"), Produced.with(Serdes.ByteArray(), Serdes.ByteArray()));

        KafkaStreams streams = new KafkaStreams(builder.build(), settings);
        CountDownLatch ended = new CountDownLatch(1);
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            ended.countDown();
            return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
        Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(Duration.ofSeconds(20))));
        streams.start();
        ended.await();
        System.exit(1);
    }
}
