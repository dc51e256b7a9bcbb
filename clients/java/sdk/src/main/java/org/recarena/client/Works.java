package org.recarena.client;

import com.google.rpc.Status;
import io.grpc.Status.Code;
import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Consumer;
import java.util.logging.Level;
import org.recarena.v1.ConnectRequest;
import org.recarena.v1.ConnectResponse;
import org.recarena.v1.ConverseWork;
import org.recarena.v1.RankBatch;
import org.recarena.v1.RankWork;
import org.recarena.v1.SearchBatch;
import org.recarena.v1.SearchWork;
import org.recarena.v1.WorkFailed;
import org.recarena.v1.WorkHeader;
import org.recarena.v1.WorkOutcome;

/** The works of a session: answered in the recommender's thread, unless they were withdrawn. */
final class Works {
    /** Characters of WorkFailed.status.message that the server keeps. */
    static final int REASON_CHARS = 500;

    private static final int DEFAULT_MESSAGE_BYTES = 4 << 20;

    private final Consumer<ConnectRequest> send;
    // Ids of the works that came and were neither answered nor withdrawn.
    private final Set<String> wanted = ConcurrentHashMap.newKeySet();
    // What threw before, and so had its stack trace logged. For the recommender's thread.
    private final Set<String> told = new HashSet<>();
    private volatile int maxBytes = DEFAULT_MESSAGE_BYTES;
    private volatile long acknowledged;

    Works(Consumer<ConnectRequest> send) {
        this.send = send;
    }

    /** The header of the work that a message is; null where it is none. */
    static WorkHeader header(ConnectResponse message) {
        return switch (message.getMessageCase()) {
            case RANK_WORK -> message.getRankWork().getHeader();
            case RANK_BATCH -> message.getRankBatch().getHeader();
            case SEARCH_WORK -> message.getSearchWork().getHeader();
            case SEARCH_BATCH -> message.getSearchBatch().getHeader();
            case CONVERSE_WORK -> message.getConverseWork().getHeader();
            default -> null;
        };
    }

    /** Largest message that may be sent; 0: as it was. */
    void limit(int bytes) {
        if (bytes > 0) {
            maxBytes = bytes;
        }
    }

    /** ConnectRequest.ack_seq: everything up to it is handled. */
    long acknowledged() {
        return acknowledged;
    }

    void handled(long seq) {
        acknowledged = seq;
    }

    /** Notes a work that will be answered in its turn, so that it can be withdrawn before. */
    void arrived(String workId) {
        wanted.add(workId);
    }

    /** Whether a work still wants an answer. */
    boolean isWanted(String workId) {
        return wanted.contains(workId);
    }

    /** Withdraws a work: it is not begun, or its answer is not sent. */
    void cancel(String workId) {
        wanted.remove(workId);
    }

    void cancelAll() {
        wanted.clear();
    }

    /** Logs what became of an answer that was not simply accepted. */
    static void tell(WorkOutcome outcome) {
        String name = outcome.getDisposition() == WorkOutcome.Disposition.UNRECOGNIZED
                ? "disposition " + outcome.getDispositionValue()
                : outcome.getDisposition().name().substring("DISPOSITION_".length());
        Log.LOGGER.info(
                "work " + Texts.oneLine(outcome.getWorkId()) + ": " + name + " "
                        + Texts.oneLine(outcome.getStatus().getMessage()));
    }

    /** Asks the recommender and sends what comes of it. */
    void answer(ConnectResponse message, Engagement engagement) {
        String workId = header(message).getWorkId();
        ConnectRequest answer;
        try {
            answer = checked(answered(message, engagement.recommender(), engagement.answers()));
        } catch (RecommenderFailedException failure) {
            tell(failure);
            answer = failed(workId, Texts.described(failure.getCause()));
        } catch (WrongAnswerException wrong) {
            Log.LOGGER.warning("work " + Texts.oneLine(workId) + ": " + wrong.getMessage());
            answer = failed(workId, wrong.getMessage());
        }
        if (wanted.remove(workId)) {
            send.accept(answer);
        }
    }

    private ConnectRequest answered(ConnectResponse message, Recommender asked, Answers answers) {
        ConnectRequest.Builder request = ConnectRequest.newBuilder().setAckSeq(acknowledged);
        String id = header(message).getWorkId();
        switch (message.getMessageCase()) {
            case RANK_WORK -> {
                RankWork work = message.getRankWork();
                var lists = call("rank", () -> asked.rank(work.getQueriesList()));
                request.setRankResult(answers.lists("rank", id, lists, work.getQueriesCount()));
            }
            case SEARCH_WORK -> {
                SearchWork work = message.getSearchWork();
                var lists = call("search", () -> asked.search(work.getQueriesList()));
                request.setRankResult(answers.lists("search", id, lists, work.getQueriesCount()));
            }
            case RANK_BATCH -> {
                RankBatch work = message.getRankBatch();
                var columns = call("rankColumns", () -> asked.rankColumns(work));
                request.setRankBatchResult(
                        answers.columns("rankColumns", id, columns, work.getUserNumbersCount(),
                                work.getResultCount()));
            }
            case SEARCH_BATCH -> {
                SearchBatch work = message.getSearchBatch();
                var columns = call("searchColumns", () -> asked.searchColumns(work));
                request.setRankBatchResult(
                        answers.columns("searchColumns", id, columns, work.getUserNumbersCount(),
                                work.getResultCount()));
            }
            default -> {
                ConverseWork work = message.getConverseWork();
                var reply = call("converse", () -> asked.converse(work));
                request.setConverseResult(answers.reply("converse", id, reply));
            }
        }
        return request.build();
    }

    private static <T> T call(String method, Callable<T> call) {
        try {
            return call.call();
        } catch (Throwable thrown) { // AssertionErrors are the recommender's, too
            throw new RecommenderFailedException(method, thrown);
        }
    }

    private ConnectRequest checked(ConnectRequest answer) {
        int bytes = answer.getSerializedSize();
        if (bytes > maxBytes) {
            throw new WrongAnswerException(
                    "the answer has " + bytes + " bytes, " + maxBytes
                            + " are allowed: take fewer users in one work (maxUsersPerWork)");
        }
        return answer;
    }

    private ConnectRequest failed(String workId, String reason) {
        Status status =
                Status.newBuilder()
                        .setCode(Code.INTERNAL.value())
                        .setMessage(Texts.oneLine(reason, REASON_CHARS))
                        .build();
        return ConnectRequest.newBuilder()
                .setAckSeq(acknowledged)
                .setWorkFailed(WorkFailed.newBuilder().setWorkId(workId).setStatus(status))
                .build();
    }

    /** The stack trace the first time, one line from then on. */
    private void tell(RecommenderFailedException failure) {
        Throwable cause = failure.getCause();
        if (told.add(failure.method() + " " + cause.getClass().getName())) {
            Log.LOGGER.log(Level.SEVERE, failure.getMessage(), cause);
        } else {
            Log.LOGGER.warning(failure.getMessage());
        }
    }
}
