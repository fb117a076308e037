%% A certificate that signs itself, with its key, for servers whose certificate
%% nobody verifies.
-module(scratch_certificate).

-export([write/1]).

%% In this directory: the files that hold it, as PEM.
-spec write(file:filename()) -> #{certificate := file:filename(), key := file:filename()}.
write(Directory) ->
	#{cert := Certificate, key := Key} =
		public_key:pkix_test_root_cert("pgmesh tests", [{key, {rsa, 2048, 65537}}]),
	#{certificate => write(Directory, "server.crt", {'Certificate', Certificate, not_encrypted}),
		key => write(Directory, "server.key", public_key:pem_entry_encode('RSAPrivateKey', Key))}.

write(Directory, Name, Entry) ->
	File = filename:join(Directory, Name),
	ok = file:write_file(File, public_key:pem_encode([Entry])),
	ok = file:change_mode(File, 8#600),
	File.
