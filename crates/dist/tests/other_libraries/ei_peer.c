/* A C node on ei: ei_peer ALIVE COOKIE PEER
 *
 * Does with PEER what C nodes do, and prints what came of each step; then waits to be
 * dialled, and answers one message. */
#include <arpa/inet.h>
#include <ei.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static ei_cnode node;

static void die(const char *what) {
	fprintf(stderr, "%s: errno %d\n", what, erl_errno);
	exit(1);
}

static void say(const char *what) {
	puts(what);
	fflush(stdout);
}

/* {Self, hello} */
static void send_hello(int fd, char *to) {
	ei_x_buff out;
	ei_x_new_with_version(&out);
	ei_x_encode_tuple_header(&out, 2);
	ei_x_encode_pid(&out, ei_self(&node));
	ei_x_encode_atom(&out, "hello");
	if (ei_reg_send(&node, fd, to, out.buff, out.index) < 0) die("ei_reg_send");
	ei_x_free(&out);
}

/* The next message; ticks are answered by ei. */
static void receive(int fd, ei_x_buff *in) {
	erlang_msg message;
	int got;
	do {
		in->index = 0;
		got = ei_xreceive_msg(fd, &message, in);
	} while (got == ERL_TICK);
	if (got != ERL_MSG) die("ei_xreceive_msg");
	in->index = 0;
}

static void take_atom(ei_x_buff *in, int *index, const char *expected) {
	char atom[MAXATOMLEN];
	if (ei_decode_atom(in->buff, index, atom) < 0 || strcmp(atom, expected) != 0) die(expected);
}

/* Expects {echo, hello}. */
static void echo(int fd) {
	ei_x_buff in;
	int index = 0, version, arity;
	ei_x_new(&in);
	send_hello(fd, "echo");
	receive(fd, &in);
	if (ei_decode_version(in.buff, &index, &version) < 0) die("version");
	if (ei_decode_tuple_header(in.buff, &index, &arity) < 0 || arity != 2) die("tuple");
	take_atom(&in, &index, "echo");
	take_atom(&in, &index, "hello");
	ei_x_free(&in);
	say("echoed");
}

/* demo:double(21) */
static void call(int fd) {
	ei_x_buff args, answer;
	int index = 0;
	long doubled;
	ei_x_new(&args);
	ei_x_new(&answer);
	ei_x_encode_list_header(&args, 1);
	ei_x_encode_long(&args, 21);
	ei_x_encode_empty_list(&args);
	if (ei_rpc(&node, fd, "demo", "double", args.buff, args.index, &answer) < 0) die("ei_rpc");
	if (ei_decode_long(answer.buff, &index, &doubled) < 0 || doubled != 42) die("answer");
	ei_x_free(&args);
	ei_x_free(&answer);
	say("called");
}

/* Answers {Pid, _} with hello. */
static void be_dialled(void) {
	ErlConnect dialler;
	ei_x_buff in, out;
	erlang_pid pid;
	int index = 0, version, arity, port = 0, fd;
	int listener = ei_listen(&node, &port, 5);
	if (listener < 0) die("ei_listen");
	if (ei_publish(&node, port) < 0) die("ei_publish");
	say("listening");
	if ((fd = ei_accept(&node, listener, &dialler)) < 0) die("ei_accept");
	ei_x_new(&in);
	receive(fd, &in);
	if (ei_decode_version(in.buff, &index, &version) < 0) die("version");
	if (ei_decode_tuple_header(in.buff, &index, &arity) < 0 || arity != 2) die("tuple");
	if (ei_decode_pid(in.buff, &index, &pid) < 0) die("pid");
	ei_x_new_with_version(&out);
	ei_x_encode_atom(&out, "hello");
	if (ei_send(fd, &pid, out.buff, out.index) < 0) die("ei_send");
	say("answered");
	/* Until the link is closed. */
	while (ei_xreceive_msg(fd, &(erlang_msg){0}, &in) == ERL_TICK) {}
}

int main(int argc, char **argv) {
	char name[MAXNODELEN];
	struct in_addr address = {htonl(INADDR_LOOPBACK)};
	int fd;
	if (argc != 4) die("usage: ei_peer ALIVE COOKIE PEER");
	snprintf(name, sizeof name, "%s@127.0.0.1", argv[1]);
	ei_init();
	if (ei_connect_xinit(&node, "127.0.0.1", argv[1], name, &address, argv[2], 1) < 0) die("ei_connect_xinit");
	if ((fd = ei_connect(&node, argv[3])) < 0) die("ei_connect");
	say("connected");
	echo(fd);
	call(fd);
	ei_close_connection(fd);
	be_dialled();
	return 0;
}
