import com.ericsson.otp.erlang.*;

/**
 * A node on Jinterface: JinterfacePeer NAME COOKIE PEER
 *
 * Does with PEER what such nodes do, and prints what came of each step; then waits for one
 * message, and answers it.
 */
public class JinterfacePeer {
	private static final long LIMIT_MS = 20000;
	private static final OtpErlangAtom HELLO = new OtpErlangAtom("hello");

	public static void main(String[] args) throws Exception {
		String name = args[0], cookie = args[1], peer = args[2];
		OtpNode node = new OtpNode(name, cookie);
		OtpMbox box = node.createMbox("box");
		expect(node.ping(peer, LIMIT_MS), "ping");
		System.out.println("pinged");
		box.send("echo", peer, tuple(box.self(), HELLO));
		expect(box.receive(LIMIT_MS).equals(tuple(new OtpErlangAtom("echo"), HELLO)), "echo");
		System.out.println("echoed");
		call(name, cookie, peer);
		outlive(box, peer);
		System.out.println("listening");
		OtpErlangTuple asked = (OtpErlangTuple) box.receive(LIMIT_MS);
		box.send((OtpErlangPid) asked.elementAt(0), HELLO);
		System.out.println("answered");
		System.in.read();
		System.exit(0);
	}

	/** demo:double(21) */
	private static void call(String name, String cookie, String peer) throws Exception {
		OtpConnection connection = new OtpSelf("caller-" + name, cookie).connect(new OtpPeer(peer));
		connection.sendRPC("demo", "double", new OtpErlangList(new OtpErlangLong(21)));
		expect(connection.receiveRPC().equals(new OtpErlangLong(42)), "rpc");
		connection.close();
		System.out.println("called");
	}

	/** Is linked to a process of the peer's, which ends. */
	private static void outlive(OtpMbox box, String peer) throws Exception {
		box.send("mortal", peer, tuple(box.self(), HELLO));
		box.link((OtpErlangPid) box.receive(LIMIT_MS));
		box.send("mortal", peer, new OtpErlangAtom("end"));
		try {
			box.receive(LIMIT_MS);
			expect(false, "exit");
		} catch (OtpErlangExit exit) {
			expect(exit.reason().equals(new OtpErlangAtom("done")), "reason");
		}
		System.out.println("outlived");
	}

	private static OtpErlangTuple tuple(OtpErlangObject... elements) {
		return new OtpErlangTuple(elements);
	}

	private static void expect(boolean is, String what) {
		if (!is) throw new IllegalStateException(what);
	}
}
