%% A certificate authority of the test's own, and certificates of it for nodes.
-module(scratch_authority).

-export([write/2, mutual/2, write_optfile/3]).

-include_lib("public_key/include/public_key.hrl").

-type files() :: #{certificate := file:filename(), key := file:filename(), authority := file:filename()}.
%% What OTP's options for TLS are called.
-type options() :: [{atom(), term()}].

%% In this directory, as PEM: a certificate for these addresses, good for servers and
%% clients, with its key and who has signed it.
-spec write(file:filename(), [inet:ip_address()]) -> files().
write(Directory, Addresses) ->
	%% What this OTP makes of curves, OTP 29 cannot read.
	Both = [{key, {rsa, 2048, 65537}}, {digest, sha256}],
	Chain = #{root => Both, intermediates => [], peer => [{extensions, [names(Addresses)]} | Both]},
	#{server_config := Server, client_config := Client} =
		public_key:pkix_test_data(#{server_chain => Chain, client_chain => Chain}),
	{Type, PrivateKey} = proplists:get_value(key, Server),
	%% Whom clients trust has signed the server.
	#{certificate => write(Directory, "node.crt", [certificate(proplists:get_value(cert, Server))]),
		key => write(Directory, "node.key", [{Type, PrivateKey, not_encrypted}]),
		authority => write(Directory, "ca.crt", [certificate(Der) || Der <- proplists:get_value(cacerts, Client)])}.

%% What either side is to have so that both show certificates and verify the other's.
-spec mutual(files(), options()) -> {Server :: options(), Client :: options()}.
mutual(#{certificate := Certificate, key := Key, authority := Authority}, More) ->
	Both = [{certfile, Certificate}, {keyfile, Key}, {cacertfile, Authority}, {verify, verify_peer} | More],
	{[{fail_if_no_peer_cert, true} | Both], Both}.

%% As nodes take it by -ssl_dist_optfile.
-spec write_optfile(file:filename(), options(), options()) -> file:filename().
write_optfile(File, Server, Client) ->
	ok = file:write_file(File, io_lib:format("~p.~n", [[{server, Server}, {client, Client}]])),
	File.

%% Helpers.

%% Releases before OTP 27 look for an address among the names.
names(Addresses) ->
	#'Extension'{extnID = ?'id-ce-subjectAltName', critical = false, extnValue = lists:append([
		[{dNSName, inet:ntoa(Address)}, {iPAddress, bytes(Address)}] || Address <- Addresses])}.

bytes({A, B, C, D}) -> <<A, B, C, D>>;
bytes(Ipv6) -> << <<Part:16>> || Part <- tuple_to_list(Ipv6) >>.

certificate(Der) ->
	{'Certificate', Der, not_encrypted}.

write(Directory, Name, Entries) ->
	File = filename:join(Directory, Name),
	ok = file:write_file(File, public_key:pem_encode(Entries)),
	ok = file:change_mode(File, 8#600),
	File.
