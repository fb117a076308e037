// Jinterface as what the benchmark `links` speaks to; the protocol is in links_driver.erl.
//
//     javac -cp OtpErlang.jar JinterfaceTarget.java
//     java -cp OtpErlang.jar:. JinterfaceTarget NAME@HOST COOKIE
//
// A node with one mailbox, read by one thread. Nodes are dialled by a second node
// (OtpSelf): the links of the first cannot be closed singly.

import com.ericsson.otp.erlang.OtpErlangAtom;
import com.ericsson.otp.erlang.OtpErlangBinary;
import com.ericsson.otp.erlang.OtpErlangException;
import com.ericsson.otp.erlang.OtpErlangList;
import com.ericsson.otp.erlang.OtpErlangLong;
import com.ericsson.otp.erlang.OtpErlangObject;
import com.ericsson.otp.erlang.OtpErlangPid;
import com.ericsson.otp.erlang.OtpErlangRef;
import com.ericsson.otp.erlang.OtpErlangTuple;
import com.ericsson.otp.erlang.OtpMbox;
import com.ericsson.otp.erlang.OtpNode;
import com.ericsson.otp.erlang.OtpPeer;
import com.ericsson.otp.erlang.OtpSelf;
import java.io.IOException;
import java.util.HashSet;
import java.util.Set;

public final class JinterfaceTarget {
	private static final OtpErlangAtom PONG = new OtpErlangAtom("pong");
	private static final OtpErlangAtom ACK = new OtpErlangAtom("ack");
	private static final OtpErlangAtom SINK_READY = new OtpErlangAtom("sink_ready");
	private static final OtpErlangAtom SOURCE_DONE = new OtpErlangAtom("source_done");
	private static final OtpErlangAtom DONE = new OtpErlangAtom("done");
	private static final OtpErlangAtom GEN_CALL = new OtpErlangAtom("$gen_call");
	private static final OtpErlangTuple NODES = tuple(new OtpErlangAtom("call"), new OtpErlangAtom("erlang"),
			new OtpErlangAtom("nodes"), new OtpErlangList(), new OtpErlangAtom("user"));

	private final OtpNode node;
	private final OtpSelf dialler;
	private final OtpMbox bench;
	private OtpErlangPid sink;
	private long every = 1;
	private long count;

	public static void main(String[] args) throws Exception {
		new JinterfaceTarget(args[0], args[1]).serve();
	}

	private JinterfaceTarget(String name, String cookie) throws IOException {
		node = new OtpNode(name, cookie);
		dialler = new OtpSelf(name.replace("@", "_dialler@"), cookie);
		bench = node.createMbox("bench");
	}

	private void serve() throws OtpErlangException {
		while (true) {
			OtpErlangObject message = bench.receive();
			if (message instanceof OtpErlangBinary) {
				countBinary();
			} else if (message instanceof OtpErlangTuple) {
				answer(((OtpErlangTuple) message).elements());
			}
		}
	}

	private void countBinary() {
		count++;
		if (sink != null && count % every == 0) {
			bench.send(sink, tuple(ACK, new OtpErlangLong(count)));
		}
	}

	private void answer(OtpErlangObject[] question) throws OtpErlangException {
		OtpErlangPid asking = (OtpErlangPid) question[1];
		OtpErlangObject reference = question[2];
		switch (((OtpErlangAtom) question[0]).atomValue()) {
			case "ping":
				bench.send(asking, tuple(PONG, reference));
				break;
			case "sink":
				beginSink(asking, reference);
				break;
			case "source":
				pour(asking, number(question[3]), (int) number(question[4]));
				bench.send(asking, tuple(SOURCE_DONE, reference));
				break;
			case "dial":
				done(asking, reference, dial(((OtpErlangAtom) question[3]).atomValue(), number(question[4])));
				break;
			case "rpc":
				long atOnce = question.length > 4 ? number(question[4]) : 1;
				done(asking, reference, call(asking.node(), number(question[3]), atOnce));
				break;
			default:
		}
	}

	private void beginSink(OtpErlangPid asking, OtpErlangObject newEvery) throws OtpErlangException {
		sink = asking;
		every = number(newEvery);
		count = 0;
		bench.send(asking, tuple(SINK_READY, newEvery));
	}

	private void pour(OtpErlangPid to, long drops, int size) {
		OtpErlangBinary drop = new OtpErlangBinary(new byte[size]);
		for (long sent = 0; sent < drops; sent++) {
			bench.send(to, drop);
		}
	}

	private long dial(String name, long dials) {
		OtpPeer peer = new OtpPeer(name);
		long succeeded = 0;
		for (long dialled = 0; dialled < dials; dialled++) {
			try {
				dialler.connect(peer).close();
				succeeded++;
			} catch (Exception failure) {
				System.err.println(failure);
			}
		}
		return succeeded;
	}

	// Answers come in any order, hence the references.
	private long call(String name, long calls, long atOnce) throws OtpErlangException {
		Set<OtpErlangRef> waiting = new HashSet<>();
		long begun = 0;
		long succeeded = 0;
		while (succeeded < calls) {
			for (; waiting.size() < atOnce && begun < calls; begun++) {
				OtpErlangRef reference = node.createRef();
				waiting.add(reference);
				bench.send("rex", name, tuple(GEN_CALL, tuple(bench.self(), reference), NODES));
			}
			OtpErlangTuple answer = (OtpErlangTuple) bench.receive();
			if (!waiting.remove(answer.elementAt(0)) || !(answer.elementAt(1) instanceof OtpErlangList)) {
				break;
			}
			succeeded++;
		}
		return succeeded;
	}

	private void done(OtpErlangPid to, OtpErlangObject reference, long succeeded) {
		bench.send(to, tuple(DONE, reference, new OtpErlangLong(succeeded)));
	}

	private static long number(OtpErlangObject term) throws OtpErlangException {
		return ((OtpErlangLong) term).longValue();
	}

	private static OtpErlangTuple tuple(OtpErlangObject... elements) {
		return new OtpErlangTuple(elements);
	}
}
