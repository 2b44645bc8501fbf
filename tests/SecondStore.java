import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;
import java.util.List;

/** mongo-java-server in memory, on a free port that it prints, until its standard input ends. */
class SecondStore {
    public static void main(String[] arguments) throws Exception {
        // It says that it speaks wire version 8; pymongo wants 9, and uses nothing of it that is missing here.
        MongoServer server = new MongoServer(new MemoryBackend().version(new MongoVersion() {
            public List<Integer> getVersionArray() { return List.of(4, 4, 0, 0); }
            public int getWireVersion() { return 9; }
        }));
        System.out.println(server.bind().getPort());
        System.in.read();
        server.shutdownNow();
    }
}
