package org.recarena.client;

import java.util.List;
import org.recarena.v1.ConverseResult;
import org.recarena.v1.RankBatchResult;
import org.recarena.v1.RankResult;
import org.recarena.v1.RankedItem;
import org.recarena.v1.RankedList;
import org.recarena.v1.RankedListOrBuilder;

/**
 * Puts what a recommender answers into messages. A message for each item of the catalogue is kept:
 * lists of plain ids are the common case, and share them.
 *
 * <p>For the recommender's thread alone.
 */
final class Answers {
    private final Catalog catalog;
    private final RankedItem[] known;

    Answers(Catalog catalog) {
        this.catalog = catalog;
        this.known = new RankedItem[catalog.size()];
    }

    /**
     * The answer to a RankWork or SearchWork of {@code wanted} queries.
     *
     * @throws WrongAnswerException the number of lists is another, or something is no list
     */
    RankResult lists(String method, String workId, List<Ranked> answers, int wanted) {
        if (answers == null || answers.size() != wanted) {
            String found = answers == null ? "null" : answers.size() + " lists";
            throw new WrongAnswerException(
                    method + " returned " + found + " for " + wanted + " queries");
        }
        RankResult.Builder result = RankResult.newBuilder().setWorkId(workId).setComplete(true);
        for (int index = 0; index < wanted; index++) {
            result.addLists(list(method, index, answers.get(index)).setQueryIndex(index));
        }
        return result.build();
    }

    /**
     * The answer to a RankBatch or SearchBatch of {@code users} users.
     *
     * @throws WrongAnswerException the lengths do not fit, or a number is negative
     */
    RankBatchResult columns(
            String method, String workId, ItemColumns columns, int users, int resultCount) {
        if (columns == null) {
            throw new WrongAnswerException(method + " returned null");
        }
        int[] numbers = columns.itemNumbers();
        int[] lengths = columns.listLengths();
        RankBatchResult.Builder result = RankBatchResult.newBuilder().setWorkId(workId);
        for (int number : numbers) {
            result.addItemNumbers(notNegative(method, "item number", number));
        }
        long sum = 0;
        for (int length : lengths) {
            result.addListLengths(notNegative(method, "list length", length));
            sum += length;
        }
        if (lengths.length == 0) {
            if (numbers.length != (long) users * resultCount) {
                throw new WrongAnswerException(
                        method + " returned " + numbers.length + " items for " + users + " users × "
                                + resultCount + " (give list lengths when lists differ)");
            }
        } else if (lengths.length != users) {
            throw new WrongAnswerException(
                    method + " returned " + lengths.length + " list lengths for " + users
                            + " users");
        } else if (sum != numbers.length) {
            throw new WrongAnswerException(
                    method + " returned " + numbers.length
                            + " items, but the list lengths add up to " + sum);
        }
        return result.build();
    }

    /**
     * The answer to a ConverseWork.
     *
     * @throws WrongAnswerException it is null, or something is no list
     */
    ConverseResult reply(String method, String workId, Reply reply) {
        if (reply == null) {
            throw new WrongAnswerException(method + " returned null");
        }
        RankedListOrBuilder offered = list(method, 0, reply.offered());
        return ConverseResult.newBuilder()
                .setWorkId(workId)
                .setReplyText(reply.text())
                .addAllItems(offered.getItemsList())
                .setAttributionToken(offered.getAttributionToken())
                .build();
    }

    private RankedList.Builder list(String method, int index, Ranked answer) {
        if (answer == null) {
            throw new WrongAnswerException(method + ", list " + index + ": there is no list");
        }
        try {
            RankedList.Builder list =
                    RankedList.newBuilder()
                            .setAttributionToken(answer.token())
                            .addAllItems(answer.items());
            for (String itemId : answer.ids()) {
                list.addItems(item(itemId));
            }
            return list;
        } catch (RuntimeException error) { // a null in it, or a list that throws when it is read
            throw new WrongAnswerException(
                    method + ", list " + index + ": " + Texts.described(error));
        }
    }

    private RankedItem item(String itemId) {
        int number = catalog.numberOf(itemId);
        if (number == Catalog.UNKNOWN) { // the server's to judge, and not to keep
            return RankedItem.newBuilder().setItemId(itemId).build();
        }
        if (known[number] == null) {
            known[number] = RankedItem.newBuilder().setItemId(itemId).build();
        }
        return known[number];
    }

    private static int notNegative(String method, String what, int number) {
        if (number < 0) {
            throw new WrongAnswerException(method + " returned the " + what + " " + number);
        }
        return number;
    }
}
