import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;

/**
 * Holds what Maven has downloaded against a list that is committed, since Maven has no lock file.
 *
 * <p>{@code java Checksums.java check LIST REPOSITORY FOLDER...}: every artifact of the list that
 * is in the local repository has the listed bytes, and every jar in the folders is on the list.
 * {@code write} makes the list from a repository that was empty before the build.
 */
final class Checksums {
    private static final String OURS = "recarena-";

    private final Path repository;
    private int wrong;

    private Checksums(Path repository) {
        this.repository = repository;
    }

    public static void main(String[] words) throws Exception {
        Path list = Path.of(words[1]);
        Checksums sums = new Checksums(Path.of(words[2]));
        if (words[0].equals("write")) {
            sums.write(list);
            return;
        }
        Map<String, String> listed = new TreeMap<>();
        for (String line : Files.readAllLines(list)) {
            listed.put(line.substring(66), line.substring(0, 64));
        }
        sums.checkRepository(listed);
        for (String folder : List.of(words).subList(3, words.length)) {
            sums.checkFolder(Path.of(folder), listed);
        }
        System.exit(sums.wrong == 0 ? 0 : 1);
    }

    private void write(Path list) throws IOException, GeneralSecurityException {
        StringBuilder lines = new StringBuilder();
        for (Path artifact : artifacts(repository)) {
            String name = repository.relativize(artifact).toString().replace('\\', '/');
            lines.append(sha256(artifact)).append("  ").append(name).append('\n');
        }
        Files.writeString(list, lines);
    }

    private void checkRepository(Map<String, String> listed) throws Exception {
        for (Map.Entry<String, String> one : listed.entrySet()) {
            Path artifact = repository.resolve(one.getKey());
            // What is not there was not needed, such as the protoc of another system.
            if (Files.exists(artifact) && !sha256(artifact).equals(one.getValue())) {
                complain(artifact + " is not what checksums.sha256 says: remove it, and see whether"
                        + " the registry gives another one");
            }
        }
    }

    private void checkFolder(Path folder, Map<String, String> listed) throws Exception {
        for (Path jar : artifacts(folder)) {
            if (!jar.getFileName().toString().startsWith(OURS)
                    && !listed.containsValue(sha256(jar))) {
                complain(jar + " is not in checksums.sha256");
            }
        }
    }

    private void complain(String text) {
        System.err.println(text);
        wrong++;
    }

    private static List<Path> artifacts(Path folder) throws IOException {
        try (Stream<Path> paths = Files.walk(folder)) {
            return paths.filter(path -> path.toString().matches(".*\\.(jar|exe)"))
                    .sorted()
                    .toList();
        }
    }

    private static String sha256(Path path) throws IOException, GeneralSecurityException {
        MessageDigest digest = MessageDigest.getInstance("SHA-256");
        return HexFormat.of().formatHex(digest.digest(Files.readAllBytes(path)));
    }
}
