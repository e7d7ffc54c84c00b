"""A name server on loopback that gives each name the answers it was told to, one after another."""

import socket
import threading

import dns.exception
import dns.message
import dns.rcode
import dns.resolver
import dns.rrset

no_such_name = socket.gaierror(socket.EAI_NONAME, "no such name")


class NameServer:
    """Speaks DNS over UDP. script: a name's answers in turn, each a list; the last stays.

    Every answer says that it is good for no time at all, as a name that is to change does.
    """

    def __init__(self, script):
        self.asked = []
        self._script = {name: list(answers) for name, answers in script.items()}
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)

    def resolve(self, host, port):
        """What a Fetcher takes: the name looked up here, as getaddrinfo would answer."""
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers = ["127.0.0.1"]
        resolver.port = self._socket.getsockname()[1]
        try:
            return [one.address for one in resolver.resolve(host, "A", lifetime=30)]
        except dns.exception.DNSException as exc:
            raise no_such_name from exc

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        # A datagram that is no question ends the server.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()

    def _serve(self):
        while True:
            data, client = self._socket.recvfrom(4096)
            if not data:
                return
            self._socket.sendto(self._answer(dns.message.from_wire(data)).to_wire(), client)

    def _answer(self, query):
        answer = dns.message.make_response(query)
        name = query.question[0].name
        self.asked.append(name.to_text(omit_final_dot=True))
        addresses = self._next(self.asked[-1])
        if addresses:
            answer.answer.append(dns.rrset.from_text(name, 0, "IN", "A", *addresses))
        else:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        return answer

    def _next(self, name):
        answers = self._script.get(name, [[]])
        return answers.pop(0) if len(answers) > 1 else answers[0]
